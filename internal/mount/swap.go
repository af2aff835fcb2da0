package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// swap unmounts the mount top at path and attaches what is ready in its place.
// The first result is true once top is gone.
//
// umount2(2) takes a mount out of the tree early, and returns late: after every
// processor has let go of it (an RCU grace period), which takes milliseconds. So
// another thread unmounts, while this one looks out for the moment that it is
// gone. That leaves a gap of tens of microseconds, where a processor is free for it.
func swap(top *os.File, ready *loose, path string) (gone bool, err error) {
	before, err := identify(int(top.Fd()))
	if err != nil {
		return false, fmt.Errorf("looking at the mount: %w", err)
	}
	space, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return false, fmt.Errorf("asking for the mount namespace: %w", err)
	}
	defer space.Close()

	entered, unmounted := make(chan error, 1), make(chan error, 1)
	go onOwnThread(func() {
		// The thread comes from the process, which the caller may have left.
		err := enterOther(space)
		entered <- err
		if err == nil {
			unmounted <- unmount(top)
		}
	})
	if err := <-entered; err != nil {
		return false, fmt.Errorf("entering the mount namespace: %w", err)
	}
	done := false
	for !done {
		select {
		case err := <-unmounted:
			if err != nil {
				return false, privileged(err)
			}
			done = true
		default:
			var stat unix.Stat_t
			gone = unix.Lstat(path, &stat) == nil && identityOf(&stat) != before
		}
		if gone {
			break
		}
	}
	place, err := openPath(path)
	if err == nil {
		err = ready.attach(place)
		place.Close()
	}
	if !done {
		// top is in use until this is over.
		err = errors.Join(err, <-unmounted)
	}
	return true, err
}
