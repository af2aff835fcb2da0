package content

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// listXattrs reads the extended attributes of the file at path, which is not
// followed if it is a link. Where a file system knows none there are none.
func listXattrs(path string) ([]Xattr, error) {
	names, err := sized(func(buf []byte) (int, error) { return unix.Llistxattr(path, buf) })
	if errors.Is(err, unix.ENOTSUP) || err == nil && len(names) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Xattr
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		value, err := sized(func(buf []byte) (int, error) { return unix.Lgetxattr(path, string(name), buf) })
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		list = append(list, Xattr{string(name), value})
	}
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
