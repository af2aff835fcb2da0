package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LoopOptions say which part of a file becomes a device, and how. Every loop
// device of ours is read-only, clears itself with its last user and is not
// scanned for partitions.
type LoopOptions struct {
	// Offset and Size are the part in bytes, multiples of 512. Size 0: to the end
	// of the file, less what is no whole sector.
	Offset, Size int64
	// SectorSize is the device's logical block size in bytes, a power of two from
	// 512 to 4096. 0: 512. Partitions of a disk that was made for larger sectors
	// may need it.
	SectorSize uint32
	// DirectIO reads around the page cache of the file, if its file system can:
	// see Loop.DirectIO.
	DirectIO bool
	// Name is for people who list loop devices; "": the base name of the file. No
	// more than its first 63 bytes are shown.
	Name string
}

// sector is the unit of the kernel's sizes in bytes.
const sector = 512

// maxSectorSize is a page of the smallest kind: what every kernel takes.
const maxSectorSize = 4096

func (o LoopOptions) check() error {
	switch {
	case o.Offset < 0 || o.Size < 0 || o.Offset > 1<<62 || o.Size > 1<<62 || o.Offset%sector != 0 || o.Size%sector != 0:
		return fmt.Errorf("%d bytes from byte %d on are no sectors", o.Size, o.Offset)
	case o.SectorSize == 0:
		return nil
	case o.SectorSize < sector || o.SectorSize > maxSectorSize || o.SectorSize&(o.SectorSize-1) != 0:
		return fmt.Errorf("sectors of %d bytes: want a power of two from %d to %d", o.SectorSize, sector, maxSectorSize)
	case o.Size%int64(o.SectorSize) != 0:
		return fmt.Errorf("%d bytes are no sectors of %d", o.Size, o.SectorSize)
	}
	return nil
}

// Loop is a loop device in use. It lasts as long as it is open here, mounted, or
// part of another device.
type Loop struct {
	// Number is the device's, Size its bytes.
	Number Number
	Size   int64
	// DirectIO says that the kernel reads around the page cache of the file.
	DirectIO bool

	file *os.File
	path string
}

// Attach makes a loop device of an open file, which may be open for reading
// only, or be a block device itself, and which the caller may close afterwards:
// the kernel keeps it. Where others take free devices at the same time it tries
// again, until ctx ends or for some seconds. An error that is ErrNoLoop says
// that there are none. On error no device stays.
func Attach(ctx context.Context, f *os.File, o LoopOptions) (*Loop, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("attaching %q to a loop device: %w", f.Name(), err)
	}
	l, err := attach(ctx, f, o)
	if err != nil {
		return nil, fmt.Errorf("attaching %q to a loop device: %w", f.Name(), err)
	}
	return l, nil
}

// File is the open device. It belongs to l.
func (l *Loop) File() *os.File { return l.file }

// Path names the device, for mount(2) too: /dev/loopN, or, where /dev lacks that,
// a path in /proc that is valid in this process while l is open.
func (l *Loop) Path() string { return l.path }

// Close gives the device up. It is gone with its last user.
func (l *Loop) Close() error { return l.file.Close() }

// configure attaches the file of the descriptor fd to l's device, which is free
// or somebody else's by now.
func (l *Loop) configure(f *os.File, o LoopOptions) error {
	config := unix.LoopConfig{
		Size: cmp.Or(o.SectorSize, sector),
		Info: unix.LoopInfo64{
			Offset:    uint64(o.Offset),
			Sizelimit: uint64(o.Size),
			Flags:     unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR,
		},
	}
	if o.DirectIO {
		config.Info.Flags |= unix.LO_FLAGS_DIRECT_IO
	}
	// The last byte stays zero.
	copy(config.Info.File_name[:len(config.Info.File_name)-1], cmp.Or(o.Name, filepath.Base(f.Name())))
	source, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = source.Control(func(fd uintptr) {
		config.Fd = uint32(fd)
		failed = retried(func() error { return unix.IoctlLoopConfigure(int(l.file.Fd()), &config) })
	})
	return errors.Join(err, failed)
}

// confirm reads back what the kernel has made of it. The size above all: a part
// that lies beyond the end of its file is cut without a word.
func (l *Loop) confirm(o LoopOptions) error {
	fd := int(l.file.Fd())
	status, err := unix.IoctlLoopGetStatus64(fd)
	if err != nil {
		return fmt.Errorf("reading its status: %w", err)
	}
	const flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
	if status.Offset != uint64(o.Offset) || status.Sizelimit != uint64(o.Size) || status.Flags&flags != flags {
		return errors.New("the kernel has set it up in another way")
	}
	l.DirectIO = status.Flags&unix.LO_FLAGS_DIRECT_IO != 0
	sectorSize, err := unix.IoctlGetInt(fd, unix.BLKSSZGET)
	if err != nil {
		return fmt.Errorf("reading its sector size: %w", err)
	}
	if want := cmp.Or(o.SectorSize, sector); sectorSize != int(want) && !l.DirectIO {
		return fmt.Errorf("its sectors have %d bytes, not %d", sectorSize, want)
	}
	if l.Size, err = deviceSize(l.file); err != nil {
		return err
	}
	if l.Size == 0 || o.Size != 0 && l.Size != o.Size {
		return fmt.Errorf("the file has %d of the %d bytes from byte %d on", l.Size, o.Size, o.Offset)
	}
	return nil
}

// deviceSize returns the size of a block device in bytes.
func deviceSize(f *os.File) (int64, error) {
	var size uint64
	if err := ioctl(f, unix.BLKGETSIZE64, unsafe.Pointer(&size)); err != nil {
		return 0, fmt.Errorf("reading the size of %q: %w", f.Name(), err)
	}
	return int64(size), nil
}

// ioctl is ioctl(2), again when a signal came between.
func ioctl(f *os.File, request uint, argument unsafe.Pointer) error {
	return retried(func() error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(argument))
		if errno != 0 {
			return errno
		}
		return nil
	})
}

func retried(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
