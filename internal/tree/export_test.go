package tree

import (
	"archive/tar"
	"context"
	"io"
)

// ReadTarUpTo is ReadTar with another bound on entries: the real one takes
// seconds to reach.
var ReadTarUpTo = readTar

// ReadTarByOthers is ReadTar with nothing but archive/tar.
func ReadTarByOthers(ctx context.Context, r io.Reader, fn func(*Entry, io.Reader) error) error {
	return walkTar(ctx, tar.NewReader(r), r, maxEntries, fn)
}
