// Package content shows the files inside an extension, whatever holds them: an
// EROFS, squashfs or ext4 file system, or a folder. It is read in place, without
// root and without mounting.
//
// Nothing that it is given is trusted: names, sizes, depth and numbers are
// bounded, links are resolved inside of the tree and never lead out of it, a
// folder that is in the tree twice is an error, and a panic of a reader that is
// not ours becomes one. Left out on purpose: everything else that blkid(8) knows,
// which [Probe] names and [Open] refuses by name.
package content

import (
	"fmt"
	"io"
	"time"
)

// Bounds on what is taken from a hostile tree.
const (
	maxFiles  = 4_000_000 // in one walk, and so in one folder
	maxDepth  = 512       // folders inside of each other
	maxFollow = 40        // links on one path, as in Linux
	maxName   = 255       // NAME_MAX
	maxPath   = 4096      // PATH_MAX: no program could open a longer one
	maxTarget = 4095      // what readlink(2) gives back at most
	maxSize   = 1 << 50   // of one file: what a hole claims costs no room on a disk, but time to read
)

// Types of files, as POSIX has them in a mode.
const (
	TypeMask    = 0o170000
	TypeFolder  = 0o040000
	TypeRegular = 0o100000
	TypeLink    = 0o120000
	TypeChar    = 0o020000
	TypeBlock   = 0o060000
	TypeFIFO    = 0o010000
	TypeSocket  = 0o140000
)

// File is one name in a tree.
type File struct {
	// Path has no leading slash; "." is the root.
	Path string
	// Mode is POSIX's: type and permissions.
	Mode     uint32
	UID, GID uint32
	// Size in bytes; 0 for what holds none, and for folders, whose size is no
	// more than a matter of the file system.
	Size   int64
	Links  int
	MTime  time.Time
	Target string // of a symbolic link
	// Major and Minor number a device.
	Major, Minor uint32
	Xattrs       []Xattr // sorted by name

	node node
}

// Xattr is an extended attribute under its full name, such as "user.origin".
type Xattr struct {
	Name  string
	Value []byte
}

// Type returns the type bits of the mode.
func (f *File) Type() uint32 { return f.Mode & TypeMask }

// Device says whether the file is a device node.
func (f *File) Device() bool { return f.Type() == TypeChar || f.Type() == TypeBlock }

// Unread says what keeps a file system from being read. It may be in order.
type Unread struct {
	// FileSystem is blkid's word for it, "" if it is of no kind that Probe knows.
	FileSystem string
	// Feature is what is not read of it; "" if nothing is.
	Feature string
}

func (u *Unread) Error() string {
	switch {
	case u.FileSystem == "":
		return "no file system that inlay knows"
	case u.Feature == "":
		return fmt.Sprintf("inlay does not read %s", u.FileSystem)
	}
	return fmt.Sprintf("inlay does not read %s with %s", u.FileSystem, u.Feature)
}

// Open opens the file system in the first size bytes of r, which may be longer
// than the file system. The error is an *Unread for one that is not read. A Tree
// is for one goroutine at a time.
func Open(r io.ReaderAt, size int64) (*Tree, error) {
	kind, takes := Probe(r, size)
	opener, known := map[string]func(io.ReaderAt, int64) (node, error){
		"erofs": openEROFS, "squashfs": openSquashFS, "ext2": openExt4, "ext3": openExt4, "ext4": openExt4,
	}[kind]
	if !known {
		return nil, &Unread{FileSystem: kind}
	}
	if takes > size {
		return nil, fmt.Errorf("opening the %s file system: it takes %d bytes and there are %d", kind, takes, size)
	}
	t := &Tree{kind: kind}
	err := guard(func() (err error) {
		t.root, err = opener(r, size)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the %s file system: %w", kind, err)
	}
	return t, nil
}
