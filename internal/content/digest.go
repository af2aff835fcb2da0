package content

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
)

// Content returns the content of a regular file that a Tree gave out, without
// looking for it again. The caller closes it.
func (f *File) Content() (io.ReadCloser, error) {
	if f.Type() != TypeRegular || f.node == nil {
		return nil, fmt.Errorf("opening %q: it is no regular file of a tree", rooted(f.Path))
	}
	return open(f, f.node)
}

// Digest is the SHA-256 of the content of a regular file.
func (f *File) Digest(ctx context.Context) (sum [sha256.Size]byte, err error) {
	r, err := f.Content()
	if err != nil {
		return sum, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, Until(ctx, r)); err != nil {
		return sum, fmt.Errorf("reading %q: %w", rooted(f.Path), err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Until is r until ctx ends: what a file claims to hold may take very long to
// read.
func Until(ctx context.Context, r io.Reader) io.Reader { return &until{ctx, r} }

type until struct {
	ctx context.Context // of the one use of this reader
	r   io.Reader
}

func (u *until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
