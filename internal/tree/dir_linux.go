package tree

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// nonblocking keeps open from waiting, if a fifo took a file's place meanwhile.
const nonblocking = unix.O_NONBLOCK

// identify sets owner and device number from the system's own record of a
// file, and returns which file it is and how many names it has.
func identify(info fs.FileInfo, e *Entry) (fileID, uint64) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, 1
	}
	e.UID, e.GID = st.Uid, st.Gid
	if info.Mode()&fs.ModeDevice != 0 {
		e.Major, e.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
	}
	return fileID{uint64(st.Dev), st.Ino}, uint64(st.Nlink)
}

// fileXattrs reads the extended attributes of base in the open folder dir,
// sorted by name, without following a link. The calls know no descriptors of
// folders, so the path goes through /proc, where nobody can swap a part of it.
func fileXattrs(dir *os.File, base string) ([]Xattr, error) {
	path := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + base
	return listXattrs(
		func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) },
		func(name string, buf []byte) (int, error) { return unix.Lgetxattr(path, name, buf) })
}

func listXattrs(all func(buf []byte) (int, error), one func(name string, buf []byte) (int, error)) ([]Xattr, error) {
	names, err := sized(all)
	if errors.Is(err, unix.ENOTSUP) || err == nil && len(names) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Xattr
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		value, err := sized(func(buf []byte) (int, error) { return one(string(name), buf) })
		if err != nil {
			return nil, err
		}
		list = append(list, Xattr{string(name), value})
	}
	slices.SortFunc(list, func(a, b Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// sized calls get with a buffer that is large enough; most need no second try.
func sized(get func([]byte) (int, error)) ([]byte, error) {
	for size := 256; ; size = maxXattrValue {
		buf := make([]byte, size)
		n, err := get(buf)
		if errors.Is(err, unix.ERANGE) && size < maxXattrValue {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n:n], nil
	}
}
