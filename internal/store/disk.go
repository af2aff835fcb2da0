package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// disk is the one door through which the store changes the disk. Tests fail,
// or end the process, before any of its calls.
type disk struct {
	before func(call, name string) error // nil: nothing
	// lazy leaves it to the kernel when to write. Tests that no power cut
	// threatens save nine tenths of their time by it.
	lazy bool
}

func (d disk) step(call, name string) error {
	if d.before == nil {
		return nil
	}
	return d.before(call, name)
}

// mkdir makes a folder unless there is one; what else is there stays.
func (d disk) mkdir(r *os.Root, name string) error {
	if _, err := r.Lstat(name); err == nil {
		return nil
	}
	if err := d.step("mkdir", name); err != nil {
		return err
	}
	if err := r.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Its name must not be lost with the power when what it holds is not.
	return d.syncFolder(r, path.Dir(name))
}

// rmdir removes a folder that is empty; one that is not, or is none, stays.
func (d disk) rmdir(r *os.Root, name string) error {
	info, err := r.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.step("rmdir", name); err != nil {
		return err
	}
	err = r.Remove(name)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d disk) symlink(r *os.Root, target, name string) error {
	if err := d.step("symlink", name); err != nil {
		return err
	}
	return r.Symlink(target, name)
}

// link gives the file, or the link, name a second name.
func (d disk) link(r *os.Root, name, second string) error {
	if err := d.step("link", second); err != nil {
		return err
	}
	return r.Link(name, second)
}

func (d disk) rename(r *os.Root, from, to string) error {
	if err := d.step("rename", to); err != nil {
		return err
	}
	return r.Rename(from, to)
}

// remove removes a file, which may be gone already.
func (d disk) remove(r *os.Root, name string) error {
	if _, err := r.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.step("remove", name); err != nil {
		return err
	}
	if err := r.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d disk) syncFolder(r *os.Root, name string) error {
	if err := d.step("sync", name); err != nil {
		return err
	}
	folder, err := r.Open(name)
	if err != nil {
		return err
	}
	defer folder.Close()
	if d.lazy {
		return nil
	}
	return folder.Sync()
}

// writeFile writes a file through to the disk, in place of what name holds.
func (d disk) writeFile(r *os.Root, name string, data []byte) error {
	f, err := d.create(r, name, os.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := d.writeAt(f, data, 0); err != nil {
		return err
	}
	return d.sync(f)
}

// create opens a file for writing, and makes it if need be.
func (d disk) create(r *os.Root, name string, flags int) (*os.File, error) {
	if err := d.step("create", name); err != nil {
		return nil, err
	}
	return r.OpenFile(name, os.O_RDWR|os.O_CREATE|flags, 0o644)
}

// nameless makes a file that no folder holds and that goes with its last user.
func (d disk) nameless(folder *os.File) (*os.File, error) {
	if err := d.step("create", ""); err != nil {
		return nil, err
	}
	fd, err := unix.Openat(int(folder.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), folder.Name()), nil
}

// name gives a nameless file its first name.
func (d disk) name(f, folder *os.File, name string) error {
	if err := d.step("name", name); err != nil {
		return err
	}
	self := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	return unix.Linkat(unix.AT_FDCWD, self, int(folder.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

func (d disk) writeAt(f io.WriterAt, data []byte, offset int64) error {
	if err := d.step("write", ""); err != nil {
		return err
	}
	_, err := f.WriteAt(data, offset)
	return err
}

func (d disk) truncate(f *os.File, size int64) error {
	if err := d.step("truncate", ""); err != nil {
		return err
	}
	return f.Truncate(size)
}

// reserve sets space aside for size bytes without making the file longer. Not
// every file system can.
func (d disk) reserve(f *os.File, size int64) error {
	if err := d.step("reserve", ""); err != nil {
		return err
	}
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if noSpace(err) {
		return err
	}
	return nil
}

func (d disk) sync(f *os.File) error {
	if err := d.step("sync", ""); err != nil || d.lazy {
		return err
	}
	return f.Sync()
}

// noSpace says whether err comes of a full disk, or a full share of it.
func noSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
