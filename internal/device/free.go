package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

const (
	// loopMajor is the major number of loop devices, loopControl and miscMajor the
	// number of the node that gives them out (admin-guide/devices.txt).
	loopMajor   = 7
	miscMajor   = 10
	loopControl = 237
	// patience is how long devices may be snatched away. Attaching takes about a
	// millisecond.
	patience = 10 * time.Second
	// longestWait is the most between two tries.
	longestWait = 50 * time.Millisecond
)

// HaveLoop returns nil where loop devices are given out, else an error that is
// ErrNoLoop, says why not, and has a hint.
func HaveLoop() error {
	control, err := openLoopControl()
	if err != nil {
		return err
	}
	return control.Close()
}

func openLoopControl() (*os.File, error) {
	n := node{"loop-control", unix.S_IFCHR, Number{miscMajor, loopControl}}
	control, _, err := n.open(unix.O_RDWR)
	if err != nil {
		return nil, missing(ErrNoLoop, err, "loop", "CONFIG_BLK_DEV_LOOP")
	}
	return control, nil
}

// attach is Attach without the name of the file in its error.
func attach(ctx context.Context, f *os.File, o LoopOptions) (l *Loop, err error) {
	control, err := openLoopControl()
	if err != nil {
		return nil, err
	}
	defer control.Close()
	absent := 0
	err = patiently(ctx, func() (again bool, err error) {
		l, err = attachFree(control, f, o)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOtherNode) {
			absent++ // systemd removes devices after use; a /dev without nodes stays so
		}
		return snatched(err) && absent < 5, err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// snatched tells whether err is what comes of a free device that another process
// has taken, or removed, since.
func snatched(err error) bool {
	for _, known := range []error{
		unix.EBUSY, unix.EAGAIN, unix.ENXIO, unix.ENODEV, fs.ErrNotExist, errOtherNode,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// patiently calls try until it is content with its error, ctx ends, or patience
// does. Its waits are of random length, so that those who compete for a thing
// don't go on doing so in step.
func patiently(ctx context.Context, try func() (again bool, err error)) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, longestWait) {
		if err := ctx.Err(); err != nil {
			return err
		}
		again, err := try()
		if !again {
			return err
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("%w: still so when time was up: %w", err, limited.Err())
		case <-time.After(wait/2 + rand.N(wait)):
		}
	}
}

// attachFree tries it with the device that the kernel says is free.
func attachFree(control *os.File, f *os.File, o LoopOptions) (_ *Loop, err error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		err = fmt.Errorf("asking for a free device: %w", err)
		if errors.Is(err, unix.ENOSPC) {
			err = hint.Wrap(err, "detach loop devices that nobody needs (losetup --list), or raise loop.max_loop")
		}
		return nil, err
	}
	device, err := loopNode(number)
	if err != nil {
		return nil, err
	}
	l := &Loop{Number: device.number}
	// Opened for reading, the device is read-only whatever the file is.
	if l.file, l.path, err = device.open(unix.O_RDONLY); err != nil {
		return nil, err
	}
	if err := l.configure(f, o); err != nil {
		l.file.Close()
		err = fmt.Errorf("setting up %s: %w", device.name, err)
		if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) && o.SectorSize <= sector {
			err = hint.Default(err, "use Linux 5.8 or later, and a file that can be read at any place")
		}
		return nil, err
	}
	if err := l.confirm(o); err != nil {
		// Should the kernel have missed that it clears itself.
		err = errors.Join(err, unix.IoctlSetInt(int(l.file.Fd()), unix.LOOP_CLR_FD, 0))
		l.file.Close()
		return nil, fmt.Errorf("setting up %s: %w", device.name, err)
	}
	return l, nil
}

// loopNode returns the node of a loop device. Its minor number is the device's
// own, unless the driver leaves room for partitions (loop.max_part).
func loopNode(number int) (node, error) {
	name := "loop" + strconv.Itoa(number)
	n := node{name, unix.S_IFBLK, Number{loopMajor, uint32(number)}}
	text, err := os.ReadFile("/sys/class/block/" + name + "/dev")
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return node{}, fmt.Errorf("reading the number of %s: %w", name, err)
	}
	n.number, err = parseNumber(strings.TrimSpace(string(text)))
	if err != nil {
		return node{}, fmt.Errorf("reading the number of %s: %w", name, err)
	}
	return n, nil
}

// parseNumber reads a device number as [Number.String] writes it.
func parseNumber(text string) (Number, error) {
	before, after, found := strings.Cut(text, ":")
	majorNumber, err1 := strconv.ParseUint(before, 10, 32)
	minorNumber, err2 := strconv.ParseUint(after, 10, 32)
	if !found || err1 != nil || err2 != nil {
		return Number{}, fmt.Errorf("%q is no device number", text)
	}
	return Number{uint32(majorNumber), uint32(minorNumber)}, nil
}
