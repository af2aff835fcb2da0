package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// smallFile is an open file by its number alone: what package os adds for files
// that may block costs a call for each, and these are read in one.
type smallFile int

// openSmall opens base in the folder dir, and follows no link.
func openSmall(dir *os.File, base string) (smallFile, bool) {
	fd, err := unix.Openat(int(dir.Fd()), base, unix.O_RDONLY|unix.O_NOFOLLOW|nonblocking|unix.O_CLOEXEC, 0)
	return smallFile(fd), err == nil
}

func (f smallFile) close() { _ = unix.Close(int(f)) }

// is says whether the file is the one of info, and unchanged.
func (f smallFile) is(info fs.FileInfo) bool {
	was, ok := info.Sys().(*syscall.Stat_t)
	var now unix.Stat_t
	return ok && unix.Fstat(int(f), &now) == nil &&
		now.Dev == was.Dev && now.Ino == was.Ino && now.Size == was.Size &&
		now.Mtim.Nano() == was.Mtim.Nano()
}

// read fills p. If the file ends before, the error is io.ErrUnexpectedEOF.
func (f smallFile) read(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Read(int(f), p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		p = p[n:]
	}
	return nil
}

func (f smallFile) xattrs() ([]Xattr, error) {
	return listXattrs(
		func(buf []byte) (int, error) { return unix.Flistxattr(int(f), buf) },
		func(name string, buf []byte) (int, error) { return unix.Fgetxattr(int(f), name, buf) })
}
