package mount

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// onOwnThread runs fn on a thread that ends with it, so that fn may change what
// belongs to its thread: namespaces, the root and the working folder.
func onOwnThread(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Locked and never unlocked: the runtime ends the thread.
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			fn()
			return
		}
		// All but the main thread, which would be parked as fn left it and which
		// /proc shows as the process. While it is locked here, another one runs fn.
		onOwnThread(fn)
		runtime.UnlockOSThread()
	}()
	<-done
}

// NamespaceError says why something could not be done in the mount namespace of
// another process. Nothing was done.
type NamespaceError struct {
	PID int
	Err error
}

func (e *NamespaceError) Error() string {
	return fmt.Sprintf("entering the mount namespace of process %d: %v", e.PID, e.Err)
}

func (e *NamespaceError) Unwrap() error { return e.Err }

// InNamespaceOf runs fn in the mount namespace of process pid: right here where
// that is the caller's own, otherwise on a thread of its own whose root and
// working folder are those of that namespace. There fn must not leave work that
// depends on paths to other goroutines, which run elsewhere. Files that were open
// before stay what they were. The error is fn's, or a *NamespaceError when fn was
// not run.
func InNamespaceOf(pid int, fn func() error) error {
	other, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/mnt")
	if err != nil {
		return &NamespaceError{PID: pid, Err: privileged(err)}
	}
	defer other.Close()
	same, err := isHere(other)
	if err != nil {
		return &NamespaceError{PID: pid, Err: err}
	}
	if same {
		return fn()
	}
	onOwnThread(func() {
		if err = enterOther(other); err != nil {
			err = &NamespaceError{PID: pid, Err: privileged(err)}
			return
		}
		err = fn()
	})
	return err
}

// enterOther has this thread, which must end afterwards, enter the mount namespace
// that the file ns stands for, unless it is in it.
func enterOther(ns *os.File) error {
	same, err := isHere(ns)
	if err != nil || same {
		return err
	}
	// A thread that shares its root with others cannot change namespaces.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS)
}

// isHere reports whether ns is the mount namespace of this thread.
func isHere(ns *os.File) (bool, error) {
	here, err := os.Stat("/proc/thread-self/ns/mnt")
	if err != nil {
		return false, fmt.Errorf("asking for the mount namespace: %w", err)
	}
	there, err := ns.Stat()
	if err != nil {
		return false, fmt.Errorf("asking for the mount namespace: %w", err)
	}
	return os.SameFile(here, there), nil
}

// procPath returns a path to what f is open on. It leads to the very mount, also
// where that is covered by another, in another namespace or nowhere.
func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// errGone is what is said of a tree that was used up.
var errGone = errors.New("the tree is attached or closed already")
