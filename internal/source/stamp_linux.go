package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// maxStampDepth bounds how deep folders lie in each other.
	maxStampDepth = 256
	// maxStamped bounds how many files are looked at, as tree does.
	maxStamped = 4_000_000
)

// errUnstamped tells that the marks of files prove nothing here.
var errUnstamped = errors.New("nothing tells whether files have changed")

// stampFile marks one file.
func stampFile(path string, of reading) string {
	var st unix.Stat_t
	// Whoever opens what cannot be asked about says more.
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || !of.is(&st) {
		return ""
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil || !ownClock(int64(fs.Type)) {
		return ""
	}
	s := stamper{reading: of}
	return s.text("file", sha256.Sum256(s.mark(system(&fs), &st)))
}

// stampFolder marks a folder and all that lies in it, on its file system.
func stampFolder(ctx context.Context, path string, of reading) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil // whoever opens it says more
	}
	defer closeFolder(fd)
	var fs unix.Statfs_t
	var st unix.Stat_t
	if errors.Join(unix.Fstatfs(fd, &fs), unix.Fstat(fd, &st)) != nil || !ownClock(int64(fs.Type)) || !of.is(&st) {
		return "", nil
	}
	s := stamper{reading: of, device: st.Dev, busy: make(chan struct{}, runtime.GOMAXPROCS(0))}
	s.busy <- struct{}{}
	sum, err := s.folder(ctx, fd, 0)
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return "", nil // as above
	}
	return s.text("folder", sha256.Sum256(s.mark(append(system(&fs), sum[:]...), &st))), nil
}

// stamper adds up marks.
type stamper struct {
	reading
	device  uint64
	busy    chan struct{} // one for each goroutine at work, not for those that wait
	buffers sync.Pool     // of *[]byte
	count   atomic.Int64
	newest  atomic.Int64 // change, in nanoseconds
}

// inner is a folder that is being marked.
type inner struct {
	done chan struct{} // nil if it is done
	sum  [sha256.Size]byte
	err  error
}

// folder returns the sum of what lies in the open folder fd. Those in it are
// looked at by other goroutines, as far as there is room for them.
func (s *stamper) folder(ctx context.Context, fd, depth int) (sum [sha256.Size]byte, err error) {
	if ctx.Err() != nil || depth > maxStampDepth {
		return sum, errUnstamped
	}
	names, size, err := s.readNames(fd)
	if err != nil {
		return sum, err
	}
	marks := make([]byte, 0, size+len(names)*(markSize+sha256.Size))
	var inside []*inner
	// Nobody may be at work below a folder that is closed.
	defer func() {
		for _, one := range inside {
			s.wait(one)
		}
	}()
	var st unix.Stat_t
	for _, name := range names {
		if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return sum, err
		}
		// What is mounted there is of a file system nobody asked about.
		if st.Dev != s.device || s.count.Add(1) > maxStamped {
			return sum, errUnstamped
		}
		marks = append(append(marks, name...), 0)
		marks = s.mark(marks, &st)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			inside = append(inside, s.below(ctx, fd, name, st.Ino, depth))
		}
	}
	for _, one := range inside {
		if s.wait(one); one.err != nil {
			return sum, one.err
		}
		marks = append(marks, one.sum[:]...)
	}
	return sha256.Sum256(marks), nil
}

// below marks the folder called name in fd, which is the one with that inode.
func (s *stamper) below(ctx context.Context, fd int, name string, inode uint64, depth int) *inner {
	one := new(inner)
	mark := func() {
		sub, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			one.err = err
			return
		}
		defer closeFolder(sub)
		var now unix.Stat_t
		if err := unix.Fstat(sub, &now); err != nil || now.Dev != s.device || now.Ino != inode {
			one.err = errUnstamped
			return
		}
		one.sum, one.err = s.folder(ctx, sub, depth+1)
	}
	select {
	case s.busy <- struct{}{}:
		done := make(chan struct{})
		one.done = done
		go func() {
			defer close(done)
			defer func() { <-s.busy }()
			mark()
		}()
	default:
		mark()
	}
	return one
}

// wait waits for a folder that is being marked, and lets others work meanwhile.
func (s *stamper) wait(one *inner) {
	if one.done == nil {
		return
	}
	<-s.busy
	<-one.done
	one.done = nil
	s.busy <- struct{}{}
}

// readNames returns the names in a folder, sorted, and the bytes that they take
// with a NUL each: the order in which a file system tells them is its own affair.
func (s *stamper) readNames(fd int) (names []string, size int, err error) {
	buffer, ok := s.buffers.Get().(*[]byte)
	if !ok {
		fresh := make([]byte, 32<<10)
		buffer = &fresh
	}
	defer s.buffers.Put(buffer)
	for {
		n, err := unix.ReadDirent(fd, *buffer)
		if err != nil {
			return nil, 0, err
		}
		if n <= 0 {
			slices.Sort(names)
			return names, size, nil
		}
		before := len(names)
		if _, _, names = unix.ParseDirent((*buffer)[:n], -1, names); len(names) > maxStamped {
			return nil, 0, errUnstamped
		}
		for _, name := range names[before:] {
			size += len(name) + 1
		}
	}
}

func closeFolder(fd int) {
	_ = unix.Close(fd) // it was only read
}
