package build

import (
	"context"
	"io"

	"inlay/internal/tree"
)

// watched is a layer whose deletions are taken down as it is read.
type watched struct {
	tree.Layer
	deleted tree.Mask
}

// Walk implements tree.Layer.
func (w watched) Walk(ctx context.Context, fn func(*tree.Entry, io.Reader) error) error {
	return w.Layer.Walk(ctx, func(e *tree.Entry, r io.Reader) error {
		w.deleted.Delete(e)
		return fn(e, r)
	})
}
