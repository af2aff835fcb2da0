package source

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tick is more than the longest time for which the kernel's clock for files
	// stands still; coarseTick that of file systems that keep whole seconds, or
	// two of them.
	tick       = 20 * time.Millisecond
	coarseTick = 2100 * time.Millisecond
	// markSize is what a file's marks take, in bytes, besides its name.
	markSize = 9 * 8
)

// is tells whether st is of the file that was read: links and mounts on the way
// to it may have been changed since, and leave no mark.
func (of reading) is(st *unix.Stat_t) bool {
	if of.file == nil {
		return true
	}
	was, ok := of.file.Sys().(*syscall.Stat_t)
	return ok && was.Dev == st.Dev && was.Ino == st.Ino
}

// system tells a file system from another that has its device's number later.
func system(fs *unix.Statfs_t) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(fs.Fsid.Val[0])) //nolint:gosec // only compared
	return binary.LittleEndian.AppendUint32(b, uint32(fs.Fsid.Val[1])) //nolint:gosec // only compared
}

// mark appends the marks of one file.
func (s *stamper) mark(b []byte, st *unix.Stat_t) []byte {
	for _, v := range [...]uint64{
		st.Dev, st.Ino, uint64(st.Mode), uint64(st.Uid)<<32 | uint64(st.Gid), st.Rdev, uint64(st.Nlink), uint64(st.Size), //nolint:gosec // only compared
		uint64(st.Mtim.Nano()), uint64(st.Ctim.Nano()), //nolint:gosec // only compared
	} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for changed := st.Ctim.Nano(); ; {
		newest := s.newest.Load()
		if changed <= newest || s.newest.CompareAndSwap(newest, changed) {
			return b
		}
	}
}

// text returns the stamp. A file that was changed so short before reading began
// that another change might have left it the same time proves nothing.
func (s *stamper) text(kind string, sum [sha256.Size]byte) string {
	if !s.began.IsZero() {
		newest, step := s.newest.Load(), tick
		if newest%int64(time.Second) == 0 {
			step = coarseTick
		}
		if !time.Unix(0, newest).Add(step).Before(s.began) || stepped(s.began) {
			return ""
		}
	}
	return kind + " " + hex.EncodeToString(sum[:])
}

// stepped tells whether somebody has set the clock since then.
func stepped(since time.Time) bool {
	now := time.Now()
	return (now.Round(0).Sub(since.Round(0)) - now.Sub(since)).Abs() > tick/2
}

// ownClock tells whether the times of a file system's files are of this
// machine's clock, and kept: they are not where the files are another's, nor in
// squashfs and EROFS, whose files have the times that whoever made them wished.
func ownClock(magic int64) bool {
	const zfs, bcachefs = 0x2fc12fc1, 0xca451a4e
	switch magic {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, zfs, bcachefs:
		return true
	}
	return false
}
