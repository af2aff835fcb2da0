package discover

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// subvolumeInode is the inode number of the top of every btrfs subvolume, and of
// nothing else in one.
const subvolumeInode = 256

// target is what a place leads to.
type target struct {
	identity
	path      string // without links
	link      bool   // the place is not the path
	mode      fs.FileMode
	size      int64
	subvolume bool
	modified  time.Time
	created   time.Time // zero if the file system doesn't tell
}

// identity tells one file of a machine from another, also from one that comes
// after it and gets its inode number.
type identity struct {
	device, inode uint64
	format        uint32 // of the mode
	born          int64  // nanoseconds, 0 if the file system doesn't tell
}

// look looks at what is at a path without links, and doesn't open it: a tape
// winds, a FIFO waits.
func look(root *os.Root, path string) (target, error) {
	f, err := root.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return target{}, err
	}
	defer f.Close()
	t, err := inspect(f)
	t.path = path
	return t, err
}

// inspect tells what an open file is.
func inspect(f *os.File) (target, error) {
	info, err := f.Stat()
	if err != nil {
		return target{}, err
	}
	var s unix.Statx_t
	descriptor := int(f.Fd())
	if err := unix.Statx(descriptor, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &s); err != nil {
		return target{}, &fs.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	t := target{
		identity: identity{device: unix.Mkdev(s.Dev_major, s.Dev_minor), inode: s.Ino, format: uint32(s.Mode) & unix.S_IFMT},
		mode:     info.Mode(), size: info.Size(), modified: info.ModTime(),
	}
	if s.Mask&unix.STATX_BTIME != 0 {
		t.created = time.Unix(s.Btime.Sec, int64(s.Btime.Nsec))
		t.born = t.created.UnixNano()
	}
	if info.IsDir() && s.Ino == subvolumeInode {
		var system unix.Statfs_t
		if err := unix.Fstatfs(descriptor, &system); err != nil {
			return target{}, &fs.PathError{Op: "fstatfs", Path: f.Name(), Err: err}
		}
		t.subvolume = int64(system.Type) == unix.BTRFS_SUPER_MAGIC
	}
	return t, nil
}
