package content

import (
	"errors"
	"io"
	"time"

	"inlay/internal/squashfs"
)

// squashFile is a file in a squashfs.
type squashFile struct {
	files *squashfs.FileSystem
	ref   squashfs.Ref
}

func openSquashFS(r io.ReaderAt, size int64) (node, error) {
	files, err := squashfs.Open(r, size)
	if err != nil {
		return nil, unreadSquashFS(err)
	}
	return &squashFile{files, files.Root()}, nil
}

func (s *squashFile) id() any { return s.ref }

func (s *squashFile) stat() (*File, error) {
	n, err := s.files.Inode(s.ref)
	if err != nil {
		return nil, unreadSquashFS(err)
	}
	f := &File{
		Mode: n.Mode, UID: n.UID, GID: n.GID, Size: n.Size, Links: int(n.Links),
		MTime: time.Unix(n.Sec, int64(n.Nsec)), Major: n.Major, Minor: n.Minor,
	}
	if f.Type() == TypeLink {
		if f.Target, err = s.files.Readlink(n); err != nil {
			return nil, unreadSquashFS(err)
		}
	}
	attributes, err := s.files.Xattrs(n)
	for _, x := range attributes {
		f.Xattrs = append(f.Xattrs, Xattr(x))
	}
	return f, unreadSquashFS(err)
}

func (s *squashFile) children() ([]child, error) {
	n, err := s.files.Inode(s.ref)
	if err != nil {
		return nil, unreadSquashFS(err)
	}
	entries, err := s.files.ReadDir(n)
	if err != nil {
		return nil, unreadSquashFS(err)
	}
	list := make([]child, len(entries))
	for i, e := range entries {
		list[i] = child{e.Name, &squashFile{s.files, e.Ref}}
	}
	return list, nil
}

func (s *squashFile) open() (io.ReadCloser, error) {
	n, err := s.files.Inode(s.ref)
	if err != nil {
		return nil, unreadSquashFS(err)
	}
	content, err := s.files.Open(n)
	if err != nil {
		return nil, unreadSquashFS(err)
	}
	return io.NopCloser(content), nil
}

// unreadSquashFS says the format's refusal in the words of this package.
func unreadSquashFS(err error) error {
	if u, ok := errors.AsType[*squashfs.Unsupported](err); ok {
		return &Unread{"squashfs", u.Feature}
	}
	return err
}
