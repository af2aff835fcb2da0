// Package stage makes a file appear complete, under its name, in one rename.
//
// While it is written the file has no name at all (O_TMPFILE), so that even a
// process that is killed leaves nothing behind. A hidden name beside the final
// one is needed for a moment where a file is replaced, and all the time on file
// systems that know no nameless files; Discard removes it, and only a kill at
// that time leaves it.
package stage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is a file on its way. It is written like any other; Commit gives it
// its name and Discard gives it up.
type File struct {
	*os.File
	folder *os.File
	name   string
	hidden string // the name it has meanwhile, where it needs one
	done   bool
}

// Create starts the file path with the permissions mode, less the umask. The
// folder must exist; whatever is at path stays until Commit.
func Create(path string, mode fs.FileMode) (*File, error) {
	name := filepath.Base(path)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("creating %q: %w", path, unix.EISDIR)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("opening the folder of %q: %w", path, err)
	}
	f := &File{folder: folder, name: name}
	if err := f.open(mode); err != nil {
		return nil, errors.Join(fmt.Errorf("creating %q: %w", path, err), folder.Close())
	}
	return f, nil
}

func (f *File) open(mode fs.FileMode) error {
	at := int(f.folder.Fd())
	fd, err := unix.Openat(at, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, uint32(mode.Perm()))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		f.hidden = f.hiddenName()
		fd, err = unix.Openat(at, f.hidden, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, uint32(mode.Perm()))
	}
	if err != nil {
		return err
	}
	f.File = os.NewFile(uintptr(fd), filepath.Join(f.folder.Name(), f.name))
	return nil
}

// Commit writes the file through to the disk and puts it under its name,
// in place of what was there. When it returns nil, a power cut no longer
// loses it. After an error the old file is still there.
func (f *File) Commit() error {
	defer f.Discard()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %q through to the disk: %w", f.Name(), err)
	}
	if err := f.appear(); err != nil {
		return fmt.Errorf("naming %q: %w", f.Name(), err)
	}
	// Without this the name itself may be lost with the power.
	if err := f.folder.Sync(); err != nil {
		return fmt.Errorf("writing the folder of %q through to the disk: %w", f.Name(), err)
	}
	return nil
}

// appear gives the file its name. A link does where there is no such file yet;
// to replace one takes a rename, for which the file needs a name already.
func (f *File) appear() error {
	if f.hidden == "" {
		err := f.link(f.name)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
		hidden := f.hiddenName()
		if err := f.link(hidden); err != nil {
			return err
		}
		f.hidden = hidden
	}
	at := int(f.folder.Fd())
	if err := unix.Renameat(at, f.hidden, at, f.name); err != nil {
		return err
	}
	f.hidden = ""
	return nil
}

func (f *File) link(name string) error {
	self := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	return unix.Linkat(unix.AT_FDCWD, self, int(f.folder.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

func (f *File) hiddenName() string { return "." + f.name + "." + rand.Text()[:8] }

// Discard gives the file up and frees what it holds. After Commit, or a
// second time, it does nothing.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	if f.hidden != "" {
		// Nothing is left to do for a file that cannot be removed.
		_ = unix.Unlinkat(int(f.folder.Fd()), f.hidden, 0)
	}
	_ = f.Close()
	_ = f.folder.Close()
}
