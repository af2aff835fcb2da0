package tree_test

import (
	"context"
	"io"

	"inlay/internal/tree"
)

// opened is the layer that open's tar stream holds.
type opened struct {
	name string
	open func(context.Context) (io.ReadCloser, error)
}

func (l opened) Name() string { return l.name }

func (l opened) Walk(ctx context.Context, fn func(*tree.Entry, io.Reader) error) error {
	r, err := l.open(ctx)
	if err != nil {
		return err
	}
	err = tree.ReadTar(ctx, r, fn)
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	return err
}
