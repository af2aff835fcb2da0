package content

import (
	"errors"
	"io"
	"time"

	"inlay/internal/erofs"
)

// erofsFile is a file in an EROFS.
type erofsFile struct {
	files  *erofs.FileSystem
	handle erofs.Handle
}

func openEROFS(r io.ReaderAt, size int64) (node, error) {
	files, err := erofs.Open(r, size)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	return &erofsFile{files, files.Root()}, nil
}

func (e *erofsFile) id() any { return e.handle }

func (e *erofsFile) stat() (*File, error) {
	n, err := e.files.Inode(e.handle)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	f := &File{
		Mode: n.Mode, UID: n.UID, GID: n.GID, Size: n.Size, Links: int(n.Links),
		MTime: time.Unix(n.Sec, int64(n.Nsec)), Major: n.Major, Minor: n.Minor,
	}
	if f.Type() == TypeLink {
		if f.Target, err = e.files.Readlink(n); err != nil {
			return nil, unreadEROFS(err)
		}
	}
	attributes, err := e.files.Xattrs(n)
	for _, x := range attributes {
		f.Xattrs = append(f.Xattrs, Xattr(x))
	}
	return f, unreadEROFS(err)
}

func (e *erofsFile) children() ([]child, error) {
	n, err := e.files.Inode(e.handle)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	entries, err := e.files.ReadDir(n)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	list := make([]child, len(entries))
	for i, d := range entries {
		list[i] = child{d.Name, &erofsFile{e.files, d.Handle}}
	}
	return list, nil
}

func (e *erofsFile) open() (io.ReadCloser, error) {
	n, err := e.files.Inode(e.handle)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	content, err := e.files.Open(n)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	return erofsContent{content}, nil
}

// erofsContent is the content of a file. What is not read of it may show late.
type erofsContent struct{ io.Reader }

func (c erofsContent) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	return n, unreadEROFS(err)
}

func (c erofsContent) Close() error { return nil }

// unreadEROFS says the format's refusal in the words of this package.
func unreadEROFS(err error) error {
	if u, ok := errors.AsType[*erofs.Unsupported](err); ok {
		return &Unread{"erofs", u.Feature}
	}
	return err
}
