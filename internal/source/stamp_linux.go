package source

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tick is more than the longest time for which the kernel's clock for files
	// stands still; coarseTick that of file systems that keep whole seconds, or
	// two of them.
	tick       = 20 * time.Millisecond
	coarseTick = 2100 * time.Millisecond
	// maxStampDepth bounds how deep folders lie in each other.
	maxStampDepth = 256
	// maxStamped bounds how many files are looked at, as tree does.
	maxStamped = 4_000_000
)

// errUnstamped tells that the marks of files prove nothing here.
var errUnstamped = errors.New("nothing tells whether files have changed")

// stampFile marks one file.
func stampFile(path string, since time.Time) (string, error) {
	s := stamper{since: since}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", nil //nolint:nilerr // whoever opens it says more
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil || !ownClock(int64(fs.Type)) {
		return "", nil //nolint:nilerr // as above
	}
	s.add("", &st)
	return s.text("file"), nil
}

// stampFolder marks a folder and all that lies in it, on its file system.
func stampFolder(ctx context.Context, path string, since time.Time) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil //nolint:nilerr // whoever opens it says more
	}
	defer unix.Close(fd)
	s := stamper{since: since, buffer: make([]byte, 64<<10)}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || !ownClock(int64(fs.Type)) {
		return "", nil //nolint:nilerr // as above
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", nil //nolint:nilerr // as above
	}
	s.device = st.Dev
	s.add("", &st)
	if err := s.folder(ctx, fd, "", 0); ctx.Err() != nil {
		return "", context.Cause(ctx)
	} else if err != nil {
		return "", nil
	}
	return s.text("folder"), nil
}

// stamper adds up marks.
type stamper struct {
	since  time.Time
	device uint64
	buffer []byte // for the names in a folder
	count  int
	marks  []byte // not yet hashed
	sum    [sha256.Size]byte
	newest unix.Timespec // change
}

// folder adds what lies in the open folder fd, called name.
func (s *stamper) folder(ctx context.Context, fd int, name string, depth int) error {
	if ctx.Err() != nil || depth > maxStampDepth {
		return errUnstamped
	}
	names, err := s.names(fd)
	if err != nil {
		return err
	}
	for _, base := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		// What is mounted there is of a file system nobody asked about.
		if s.count++; st.Dev != s.device || s.count > maxStamped {
			return errUnstamped
		}
		path := name + "/" + base
		s.add(path, &st)
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		if err := s.below(ctx, fd, base, path, &st, depth); err != nil {
			return err
		}
	}
	return nil
}

// below adds what lies in the folder base of fd, which is the one of st.
func (s *stamper) below(ctx context.Context, fd int, base, path string, st *unix.Stat_t, depth int) error {
	sub, err := unix.Openat(fd, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sub)
	var now unix.Stat_t
	if err := unix.Fstat(sub, &now); err != nil {
		return err
	}
	if now.Dev != st.Dev || now.Ino != st.Ino {
		return errUnstamped
	}
	return s.folder(ctx, sub, path, depth+1)
}

// names returns the names in a folder, sorted: the order in which a file system
// tells them is its own affair.
func (s *stamper) names(fd int) ([]string, error) {
	var names []string
	for {
		n, err := unix.ReadDirent(fd, s.buffer)
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(s.buffer[:n], -1, names)
		if len(names) > maxStamped {
			return nil, errUnstamped
		}
	}
}

// add adds the marks of one file.
func (s *stamper) add(path string, st *unix.Stat_t) {
	order := binary.LittleEndian
	b := order.AppendUint64(s.marks, uint64(len(path)))
	b = append(b, path...)
	for _, v := range []uint64{
		st.Dev, st.Ino, uint64(st.Mode), uint64(st.Uid)<<32 | uint64(st.Gid), st.Rdev, uint64(st.Nlink), uint64(st.Size), //nolint:gosec // only compared
		uint64(st.Mtim.Sec), uint64(st.Mtim.Nsec), uint64(st.Ctim.Sec), uint64(st.Ctim.Nsec), //nolint:gosec // only compared
	} {
		b = order.AppendUint64(b, v)
	}
	s.marks = b
	if len(s.marks) >= 64<<10 {
		s.flush()
	}
	if c := st.Ctim; c.Sec > s.newest.Sec || c.Sec == s.newest.Sec && c.Nsec > s.newest.Nsec {
		s.newest = c
	}
}

// flush works what was added into the sum.
func (s *stamper) flush() {
	s.marks = append(s.marks, s.sum[:]...)
	s.sum = sha256.Sum256(s.marks)
	s.marks = s.marks[:0]
}

// text returns the stamp. A file that was changed so short before since that
// another change might have left it the same time proves nothing.
func (s *stamper) text(kind string) string {
	if !s.since.IsZero() {
		step := tick
		if s.newest.Nsec == 0 {
			step = coarseTick
		}
		if !time.Unix(s.newest.Unix()).Add(step).Before(s.since) || stepped(s.since) {
			return ""
		}
	}
	s.flush()
	return fmt.Sprintf("%s %s", kind, hex.EncodeToString(s.sum[:]))
}

// stepped tells whether somebody has set the clock since then.
func stepped(since time.Time) bool {
	now := time.Now()
	return (now.Round(0).Sub(since.Round(0)) - now.Sub(since)).Abs() > tick/2
}

// ownClock tells whether the times of a file system's files are of this
// machine's clock, and kept: they are not where the files are another's.
func ownClock(magic int64) bool {
	const zfs, bcachefs = 0x2fc12fc1, 0xca451a4e
	switch magic {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1, zfs, bcachefs:
		return true
	}
	return false
}
