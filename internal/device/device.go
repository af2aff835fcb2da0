// Package device makes block devices out of open files: loop devices, by the
// ioctls of linux/loop.h, and dm-verity devices over them, by those of
// linux/dm-ioctl.h and the table of the kernel's admin-guide/device-mapper/verity.
// Names and UUIDs are those that libcryptsetup and systemd give, so that both
// know our devices and share them, and we theirs. Copies that nobody can change
// (memfd_create(2) with seals) stand in where there is no device-mapper.
//
// What is checked is what is used: no file is opened again by its path. And
// nothing stays behind, even if the process is killed: loop devices clear
// themselves with their last user, and dm-verity devices are marked for removal
// by the kernel before they have a table.
//
// Left out on purpose: devices that can be written to, partition scans (each
// partition gets a device of its own), every target but verity, the forward
// error correction of verity, kernels before 5.8 (LOOP_CONFIGURE), and udev's
// cookies. Those are semaphores by which libdevmapper waits until udev has made
// the links below /dev/mapper; we use the kernel's own node, which is there when
// the ioctl returns. udev makes its links all the same, from the event without a
// cookie, and what it opens meanwhile only delays a removal that is deferred
// anyway.
package device

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

var (
	// ErrNoLoop says that the machine gives out no loop devices; the error around
	// it says why.
	ErrNoLoop = errors.New("no loop devices here")
	// ErrNoMapper says that dm-verity is not to be had; the error around it says
	// why.
	ErrNoMapper = errors.New("no dm-verity here")
	// ErrTaken says that a mapped device of the name is there and cannot be
	// shared: another name may do.
	ErrTaken = errors.New("its name is taken")
)

// Number is a device number, as in "7:3".
type Number struct{ Major, Minor uint32 }

func (n Number) String() string { return fmt.Sprintf("%d:%d", n.Major, n.Minor) }

// NumberOf returns the number that dev stands for, as stat(2) gives it.
func NumberOf(dev uint64) Number { return Number{unix.Major(dev), unix.Minor(dev)} }

func (n Number) dev() uint64 { return unix.Mkdev(n.Major, n.Minor) }

// missing explains why a control node could not be opened: sentinel, with what
// its reader can do.
func missing(sentinel, err error, module, option string) error {
	wrapped := fmt.Errorf("%w: %w", sentinel, err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return hint.Wrap(wrapped, "run as root; in a container, with CAP_SYS_ADMIN and access to devices (--privileged)")
	case errors.Is(err, fs.ErrNotExist):
		return hint.Wrap(wrapped, "load the module "+module+", and in a container mount devtmpfs on /dev")
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return hint.Wrap(wrapped, "load the module "+module+", or use a kernel with "+option)
	}
	return wrapped
}
