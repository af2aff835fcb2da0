package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Apart is a mount namespace of our own that begins as a copy of the caller's,
// with the same root folder. What is mounted and unmounted in it shows nowhere
// else: what lies beneath a mount can be looked at, and used, while the mount
// stays where it is.
//
// Files and folders that were opened in it keep to it: what they lead to is what is
// mounted there. As layers of an overlay they are taken there only. It is gone
// with Close, or with the process.
type Apart struct{ thread *stage }

// NewApart copies the caller's mount namespace.
func NewApart() (*Apart, error) {
	space, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("asking for the mount namespace: %w", err)
	}
	defer space.Close()
	a := &Apart{thread: &stage{}}
	err = a.thread.start(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		// The thread comes from the process, which the caller may have left.
		if err := enterOther(space); err != nil {
			return err
		}
		return secede()
	})
	if err != nil {
		return nil, fmt.Errorf("copying the mount namespace: %w", privileged(err))
	}
	return a, nil
}

// secede gives this thread a copy of its mount namespace, all of it private.
func secede() error {
	root, err := openPath("/")
	if err != nil {
		return err
	}
	defer root.Close()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	// A chroot whose root is no mount: out, and back in.
	if err := enterOwn(); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	// root is on a mount of the namespace that was left; its name leads to the copy.
	path, err := os.Readlink(procPath(root))
	if err != nil {
		return err
	}
	if err := unix.Chroot(path); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// Run runs fn on a thread in the namespace, and waits for it. Work that fn gives to
// other goroutines is done elsewhere.
func (a *Apart) Run(fn func() error) error { return a.thread.run(fn) }

// Close lets go of the namespace.
func (a *Apart) Close() error {
	if a.thread == nil {
		return nil
	}
	close(a.thread.jobs)
	<-a.thread.done
	a.thread = nil
	return nil
}
