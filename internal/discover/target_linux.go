package discover

import (
	"encoding/binary"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// subvolumeInode is the inode number of the top of every btrfs subvolume, and of
// nothing else in one.
const subvolumeInode = 256

// target is what a place leads to.
type target struct {
	identity
	path      string // without links
	mode      fs.FileMode
	size      int64
	subvolume bool
	modified  time.Time // of a subvolume, when anything in it was
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
	if t.subvolume {
		if made, changed, ok := subvolumeTimes(root, path); ok {
			t.created, t.modified = made, changed
		}
	}
	return t, err
}

// A subvolume's description, as BTRFS_IOC_GET_SUBVOL_INFO (Linux 4.18) gives it.
const (
	subvolumeInfo     = 0x81f8943c // the request
	subvolumeInfoSize = 504
	subvolumeChanged  = 376 // where the time is at which anything in it changed last
	subvolumeOrigin   = 392 // and that at which it was made
)

// subvolumeTimes tells when a subvolume was made, and when anything in it changed
// last: the folder itself has the birth time of what a snapshot was taken of.
func subvolumeTimes(root *os.Root, path string) (made, changed time.Time, ok bool) {
	f, err := root.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return made, changed, false
	}
	defer f.Close()
	var b [subvolumeInfoSize]byte
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), subvolumeInfo, uintptr(unsafe.Pointer(&b))); e != 0 { //nolint:gosec // the kernel writes as many bytes as the request says
		return made, changed, false
	}
	stamp := func(at []byte) time.Time {
		return time.Unix(int64(binary.NativeEndian.Uint64(at)), int64(binary.NativeEndian.Uint32(at[8:]))) //nolint:gosec // a time
	}
	return stamp(b[subvolumeOrigin:]), stamp(b[subvolumeChanged:]), true
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
