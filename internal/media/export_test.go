package media

import (
	"context"
	"io"
)

// PackedRoot packs a whole root file system as MakeUKIs does.
func PackedRoot(ctx context.Context, s *System, dir string, w io.Writer) (InitrdResult, error) {
	in, err := s.packRoot(ctx, dir)
	if err != nil {
		return InitrdResult{}, err
	}
	defer in.close()
	_, err = io.Copy(w, io.MultiReader(in.parts[0]))
	return in.result, err
}
