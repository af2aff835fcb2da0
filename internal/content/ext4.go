package content

import (
	"errors"
	"io"
	"time"

	"inlay/internal/ext4"
)

// extFile is a file in an ext2, ext3 or ext4.
type extFile struct {
	files *ext4.FileSystem
	ref   ext4.Ref
}

func openExt4(r io.ReaderAt, size int64) (node, error) {
	files, err := ext4.Open(r, size)
	if err != nil {
		return nil, unreadExt4(err)
	}
	return &extFile{files, files.Root()}, nil
}

func (e *extFile) id() any { return e.ref }

func (e *extFile) stat() (*File, error) {
	n, err := e.files.Inode(e.ref)
	if err != nil {
		return nil, unreadExt4(err)
	}
	f := &File{
		Mode: n.Mode, UID: n.UID, GID: n.GID, Size: n.Size, Links: int(n.Links),
		MTime: time.Unix(n.Sec, int64(n.Nsec)), Major: n.Major, Minor: n.Minor,
	}
	if f.Type() == TypeLink {
		if f.Target, err = e.files.Readlink(n); err != nil {
			return nil, unreadExt4(err)
		}
	}
	attributes, err := e.files.Xattrs(n)
	for _, x := range attributes {
		f.Xattrs = append(f.Xattrs, Xattr(x))
	}
	return f, unreadExt4(err)
}

func (e *extFile) children() ([]child, error) {
	n, err := e.files.Inode(e.ref)
	if err != nil {
		return nil, unreadExt4(err)
	}
	entries, err := e.files.ReadDir(n)
	if err != nil {
		return nil, unreadExt4(err)
	}
	list := make([]child, len(entries))
	for i, d := range entries {
		list[i] = child{d.Name, &extFile{e.files, d.Ref}}
	}
	return list, nil
}

func (e *extFile) open() (io.ReadCloser, error) {
	n, err := e.files.Inode(e.ref)
	if err != nil {
		return nil, unreadExt4(err)
	}
	content, err := e.files.Open(n)
	if err != nil {
		return nil, unreadExt4(err)
	}
	return io.NopCloser(content), nil
}

// unreadExt4 says the format's refusal in the words of this package.
func unreadExt4(err error) error {
	if u, ok := errors.AsType[*ext4.Unsupported](err); ok {
		return &Unread{"ext4", u.Feature}
	}
	return err
}
