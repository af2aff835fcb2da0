package content

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// Folder is the tree in a folder. Links are never followed out of it. What is
// asked for is read at that time: if the folder changes meanwhile, so do the
// answers, but a file that is exchanged while it is opened is an error. The
// caller closes root, after the Tree's last use.
func Folder(root *os.Root) *Tree {
	return &Tree{kind: "folder", root: &diskFile{disk: &disk{root: root}, path: "."}}
}

// disk holds the folder that was opened last: attributes are read by name, and
// a name needs its folder.
type disk struct {
	root   *os.Root
	path   string
	folder *os.File
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
	info, err := d.disk.root.Lstat(d.path)
	if err != nil {
		return nil, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.New("this system tells no attributes")
	}
	d.is = identify(s)
	f := &File{
		Mode: posixMode(info.Mode()), UID: s.Uid, GID: s.Gid, Size: info.Size(), Links: int(s.Nlink),
		MTime: info.ModTime(), Major: unix.Major(uint64(s.Rdev)), Minor: unix.Minor(uint64(s.Rdev)),
	}
	if f.Type() == TypeLink {
		if f.Target, err = d.disk.root.Readlink(d.path); err != nil {
			return nil, err
		}
	}
	f.Xattrs, err = d.xattrs()
	return f, err
}

func identify(s *syscall.Stat_t) diskID { return diskID{uint64(s.Dev), s.Ino} }

// xattrs goes through /proc, as the calls know no descriptors of folders; there
// nobody can swap a part of the path.
func (d *diskFile) xattrs() ([]Xattr, error) {
	folder, err := d.disk.above(d.path)
	if err != nil {
		return nil, err
	}
	list, err := listXattrs(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), path.Base(d.path)))
	if err != nil {
		return nil, fmt.Errorf("reading its extended attributes: %w", err)
	}
	return list, nil
}

// above opens the folder that the file at name is in, unless it is open.
func (d *disk) above(name string) (*os.File, error) {
	folder := path.Dir(name)
	if d.folder != nil && d.path == folder {
		return d.folder, nil
	}
	opened, err := d.root.Open(folder)
	if err != nil {
		return nil, err
	}
	if d.folder != nil {
		d.folder.Close()
	}
	d.path, d.folder = folder, opened
	return opened, nil
}

// batch is how many names of a folder are asked for at a time.
const batch = 4096

func (d *diskFile) children() ([]child, error) {
	folder, err := d.reopen(unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	var list []child
	for {
		names, err := folder.Readdirnames(batch)
		for _, name := range names {
			list = append(list, child{name, &diskFile{disk: d.disk, path: below(d.path, name)}})
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

func (d *diskFile) open() (io.ReadCloser, error) { return d.reopen(0) }

// reopen opens what stat looked at, and sees that it still is.
func (d *diskFile) reopen(flags int) (*os.File, error) {
	// A pipe in the file's place must not make us wait for a writer.
	f, err := d.disk.root.OpenFile(d.path, os.O_RDONLY|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || identify(s) != d.is {
		return nil, errors.Join(errors.New("it was exchanged while it was read"), f.Close())
	}
	return f, nil
}

// posixMode is a mode of Go's as POSIX has it.
func posixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, special := range []struct {
		bit   fs.FileMode
		posix uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&special.bit != 0 {
			mode |= special.posix
		}
	}
	switch m.Type() {
	case 0:
		mode |= TypeRegular
	case fs.ModeDir:
		mode |= TypeFolder
	case fs.ModeSymlink:
		mode |= TypeLink
	case fs.ModeDevice | fs.ModeCharDevice:
		mode |= TypeChar
	case fs.ModeDevice:
		mode |= TypeBlock
	case fs.ModeNamedPipe:
		mode |= TypeFIFO
	case fs.ModeSocket:
		mode |= TypeSocket
	}
	return mode
}
