package content

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Folder is the tree in a folder. Links are never followed out of it. What is
// asked for is read at that time: if the folder changes meanwhile, so do the
// answers, but a file that is exchanged while it is opened is an error. The
// caller closes the Tree, and root after the Tree's last use.
func Folder(root *os.Root) *Tree {
	return &Tree{kind: "folder", root: &diskFile{disk: &disk{root: root}, path: "."}}
}

// diskFile is a file in the folder.
type diskFile struct {
	disk *disk
	path string
	is   diskID
}

// diskID tells one file of a machine from another.
type diskID struct{ device, inode uint64 }

// id is called after stat, which learns it.
func (d *diskFile) id() any { return d.is }

func (d *diskFile) stat() (*File, error) {
	f, err := d.peek()
	if err != nil {
		return nil, err
	}
	folder, err := d.disk.folder(path.Dir(d.path))
	if err != nil {
		return nil, err
	}
	// Through /proc, as the calls know no descriptors of folders; there nobody can
	// swap a part of the path.
	f.Xattrs, err = listXattrs(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), path.Base(d.path)))
	if err != nil {
		return nil, fmt.Errorf("reading its extended attributes: %w", err)
	}
	return f, nil
}

func (d *diskFile) peek() (*File, error) {
	folder, err := d.disk.folder(path.Dir(d.path))
	if err != nil {
		return nil, err
	}
	at, name := int(folder.Fd()), path.Base(d.path)
	var s unix.Stat_t
	err = patiently(func() error { return unix.Fstatat(at, name, &s, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.EINVAL) {
		err = unix.ENOENT // no file is called so
	}
	if err != nil {
		return nil, &os.PathError{Op: "stat", Path: d.path, Err: err}
	}
	d.is = identify(&s)
	f := &File{
		Mode: s.Mode, UID: s.Uid, GID: s.Gid, Size: s.Size, Links: int(s.Nlink), //nolint:gosec // no file has 2⁶³ names
		MTime: time.Unix(s.Mtim.Unix()), Major: unix.Major(uint64(s.Rdev)), Minor: unix.Minor(uint64(s.Rdev)),
	}
	if f.Type() == TypeLink {
		if f.Target, err = readlink(at, name); err != nil {
			return nil, &os.PathError{Op: "readlink", Path: d.path, Err: err}
		}
	}
	return f, nil
}

func identify(s *unix.Stat_t) diskID { return diskID{uint64(s.Dev), s.Ino} }

// readlink reads a link. One byte more than a target may have shows that it is
// longer.
func readlink(folder int, name string) (string, error) {
	target := make([]byte, maxTarget+1)
	n := 0
	err := patiently(func() (err error) {
		n, err = unix.Readlinkat(folder, name, target)
		return err
	})
	return string(target[:max(n, 0)]), err
}

// batch is how many names of a folder are asked for at a time.
const batch = 4096

func (d *diskFile) children() ([]child, error) {
	folder, err := d.disk.folder(d.path)
	if err != nil {
		return nil, err
	}
	if err := d.still(folder); err != nil {
		return nil, err
	}
	// It may have been read before.
	if _, err := folder.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var list []child
	for {
		names, err := folder.Readdirnames(batch)
		for _, name := range names {
			list = append(list, child{name, d.child(name)})
		}
		switch {
		case err == io.EOF:
			return list, nil
		case err != nil:
			return nil, err
		case len(list) > maxFiles:
			return nil, fmt.Errorf("more than %d files in a folder", maxFiles)
		}
	}
}

func (d *diskFile) child(name string) node {
	return &diskFile{disk: d.disk, path: below(d.path, name)}
}

// open opens what stat looked at.
func (d *diskFile) open() (io.ReadCloser, error) {
	folder, err := d.disk.folder(path.Dir(d.path))
	if err != nil {
		return nil, err
	}
	// A pipe in the file's place must not make us wait for a writer.
	f, err := openAt(folder, path.Base(d.path), d.path, unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if err := d.still(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// still sees that an open file is the one that stat looked at.
func (d *diskFile) still(f *os.File) error {
	var s unix.Stat_t
	if err := patiently(func() error { return unix.Fstat(int(f.Fd()), &s) }); err != nil {
		return &os.PathError{Op: "stat", Path: d.path, Err: err}
	}
	if identify(&s) != d.is {
		return errors.New("it was exchanged while it was read")
	}
	return nil
}

// patiently calls again what a signal has cut short, as happens on file systems in
// user space and over a network.
func patiently(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// openAt opens a file in a folder, and follows no link. whole is its path.
func openAt(folder *os.File, name, whole string, flags int) (*os.File, error) {
	fd := -1
	err := patiently(func() (err error) {
		fd, err = unix.Openat(int(folder.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
		return err
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: whole, Err: err}
	}
	return os.NewFile(uintptr(fd), whole), nil
}

// disk keeps the folders open that lead to the one that was used last: whoever
// walks a tree opens each once.
type disk struct {
	root *os.Root
	way  []opened
}

// opened is an open folder on the way. The first is the root, called ".".
type opened struct {
	name string
	file *os.File
}

// folder opens the folder at a path without links, and those above it, as far as
// they aren't open.
func (d *disk) folder(name string) (*os.File, error) {
	if len(d.way) == 0 {
		f, err := d.root.Open(".")
		if err != nil {
			return nil, err
		}
		d.way = []opened{{".", f}}
	}
	if name == "." {
		return d.way[0].file, nil
	}
	at := 1
	for part := range strings.SplitSeq(name, "/") {
		if at == len(d.way) || d.way[at].name != part {
			if err := d.leave(at); err != nil {
				return nil, err
			}
			f, err := openAt(d.way[at-1].file, part, name, unix.O_DIRECTORY)
			if err != nil {
				return nil, err
			}
			d.way = append(d.way, opened{part, f})
		}
		at++
	}
	return d.way[at-1].file, nil
}

// leave closes the folders from the one at depth on.
func (d *disk) leave(depth int) error {
	var errs []error
	for len(d.way) > depth {
		last := len(d.way) - 1
		errs = append(errs, d.way[last].file.Close())
		d.way = d.way[:last]
	}
	return errors.Join(errs...)
}

// Close closes what the tree has opened by itself, which would keep the file system
// of a folder from being unmounted. The tree can be used again.
func (t *Tree) Close() error {
	switch root := t.root.(type) {
	case *diskFile:
		return root.disk.leave(0)
	case *mountPoint:
		return (&Tree{root: root.held.node}).Close()
	default:
		return nil
	}
}
