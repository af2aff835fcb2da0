package mount

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// stage is where trees wait, and layers get short names, on kernels that can do
// nothing with a mount that is attached nowhere (before 6.15). With open_tree
// and move_mount it is a mount namespace of its own, which nobody else sees: a
// clone goes in, another clone comes out. Without them (before 5.2) mounts cannot
// change their namespace, and it is a private tmpfs in the caller's.
type stage struct {
	jobs chan func()
	done chan struct{}
	dir  *os.File // the tmpfs
	own  bool
	path string // the folder under the tmpfs, if it is in the caller's namespace
	next int
}

// newStage makes a staging place in a namespace of its own.
func newStage() (*stage, error) {
	tmpfs, err := newTmpfs(TmpfsOptions{Mode: 0o700})
	if err != nil {
		return nil, err
	}
	s := &stage{own: true, dir: tmpfs}
	err = s.start(func() error { return leave(int(tmpfs.Fd())) })
	if err != nil {
		tmpfs.Close()
		return nil, fmt.Errorf("making a mount namespace to work in: %w", privileged(err))
	}
	return s, nil
}

// leave puts this thread into a mount namespace that holds nothing but tmpfs,
// which becomes its root and its working folder.
func leave(tmpfs int) error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return err
	}
	// Nothing that is mounted from here on may show elsewhere.
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if errors.Is(err, unix.EINVAL) {
		// A chroot whose root is no mount. Entering the namespace that this
		// thread is in already leaves the chroot.
		if err = enterOwn(); err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
	}
	if err != nil {
		return err
	}
	if err := unix.MoveMount(tmpfs, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return err
	}
	if err := unix.Fchdir(tmpfs); err != nil {
		return err
	}
	// The copies of everybody's mounts would keep them busy. Where the root is
	// the kernel's first, an initramfs, they stay: it cannot be pivoted away.
	if unix.PivotRoot(".", ".") == nil {
		return unix.Unmount(".", unix.MNT_DETACH)
	}
	return nil
}

func enterOwn() error {
	space, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer space.Close()
	return unix.Setns(int(space.Fd()), unix.CLONE_NEWNS)
}

// newStageAt makes a staging place below folder, in the caller's namespace.
func newStageAt(folder string) (_ *stage, err error) {
	if folder == "" {
		return nil, hint.Wrap(errors.New("this kernel cannot hold a mount that is attached nowhere (Linux 5.2 can), and no folder is given to keep it at"),
			"use Linux 5.2 or later")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making staging place %q: %w", folder, err)
	}
	path, err := os.MkdirTemp(folder, "")
	if err != nil {
		return nil, fmt.Errorf("making staging place %q: %w", folder, err)
	}
	s := &stage{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.dismantle())
		}
	}()
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return nil, fmt.Errorf("mounting staging place %q: %w", path, privileged(err))
	}
	// What is mounted here must not show in the namespaces that see folder, and
	// only mounts below a private one can be moved.
	if err := unix.Mount("", path, "", unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making staging place %q private: %w", path, err)
	}
	if s.dir, err = os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return nil, fmt.Errorf("opening staging place: %w", err)
	}
	here, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("asking for the mount namespace: %w", err)
	}
	defer here.Close()
	err = s.start(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		// The thread comes from the process, which the caller may have left.
		if err := enterOther(here); err != nil {
			return err
		}
		return unix.Fchdir(int(s.dir.Fd()))
	})
	if err != nil {
		return nil, fmt.Errorf("entering staging place %q: %w", path, err)
	}
	return s, nil
}

// start starts the thread of s with begin.
func (s *stage) start(begin func() error) error {
	s.jobs, s.done = make(chan func()), make(chan struct{})
	began := make(chan error)
	go onOwnThread(func() {
		defer close(s.done)
		err := begin()
		began <- err
		if err != nil {
			return
		}
		for job := range s.jobs {
			job()
		}
	})
	err := <-began
	if err != nil {
		s.jobs = nil
	}
	return err
}

// run runs fn on the thread of s, where names are below the staging place.
func (s *stage) run(fn func() error) error {
	result := make(chan error)
	s.jobs <- func() { result <- fn() }
	return <-result
}

// name makes a mount point, a folder or a file, and returns its name.
func (s *stage) name(folder bool) (string, error) {
	name := strconv.Itoa(s.next)
	s.next++
	dir := int(s.dir.Fd())
	if folder {
		if err := unix.Mkdirat(dir, name, 0o700); err != nil {
			return "", fmt.Errorf("making mount point: %w", err)
		}
		return name, nil
	}
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return "", fmt.Errorf("making mount point: %w", err)
	}
	return name, unix.Close(fd)
}

// at returns a path to name that works in every thread.
func (s *stage) at(name string) string { return procPath(s.dir) + "/" + name }

// drop unmounts name, if it is mounted, and removes the mount point.
func (s *stage) drop(name string) error {
	err := s.run(func() error { return unix.Unmount(name, unix.MNT_DETACH) })
	if errors.Is(err, unix.EINVAL) {
		err = nil // not mounted
	}
	dir := int(s.dir.Fd())
	if rmErr := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); errors.Is(rmErr, unix.ENOTDIR) {
		_ = unix.Unlinkat(dir, name, 0)
	}
	if err != nil {
		return fmt.Errorf("unmounting what was staged: %w", err)
	}
	return nil
}

// close takes the staging place down, with everything in it.
func (s *stage) close() error {
	var errs []error
	for i := range s.next {
		name := strconv.Itoa(i)
		if unix.Faccessat(int(s.dir.Fd()), name, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) == nil {
			errs = append(errs, s.drop(name))
		}
	}
	errs = append(errs, s.dismantle())
	return errors.Join(errs...)
}

// dismantle ends the thread, unmounts the tmpfs and removes its folder.
func (s *stage) dismantle() error {
	if s.jobs != nil {
		close(s.jobs)
		<-s.done
	}
	if s.dir != nil {
		s.dir.Close()
	}
	if s.own {
		return nil // the namespace ends with its thread
	}
	err := unix.Unmount(s.path, unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) {
		err = nil
	}
	if err := errors.Join(err, os.Remove(s.path)); err != nil {
		return fmt.Errorf("taking down staging place: %w", err)
	}
	return nil
}

// privileged says what EPERM is about.
func privileged(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return hint.Wrap(err, "run it as root, with CAP_SYS_ADMIN in the namespace that the mounts are in")
	}
	return err
}
