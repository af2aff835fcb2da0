package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"inlay/internal/tree"
)

// NamesBelow calls fn for each entry of the lowest count layers without its
// content, with the number of its layer, from 0. Layers come in any order, but
// one after the other unless two are the same. It reads all of them and checks
// them, but counts as no progress.
func (im *Image) NamesBelow(ctx context.Context, count int, fn func(layer int, e *tree.Entry) error) error {
	if im.below != nil && count > 0 {
		if done, err := im.below(ctx, count, fn); done || err != nil {
			return err
		}
	}
	for i := count - 1; i >= 0; i-- {
		if err := im.Layers[i].Names(ctx, func(e *tree.Entry) error { return fn(i, e) }); err != nil {
			return err
		}
	}
	return nil
}

// below does what NamesBelow does while one archive of the daemon passes, of
// which nothing is kept. It isn't done if members' names don't tell the layers,
// or if the archive was kept already.
func (x *export) below(ctx context.Context, count int, fn func(layer int, e *tree.Entry) error) (done bool, err error) {
	wanted := map[Digest][]int{} // layers without files are all the same
	for i, l := range x.image.Layers[:count] {
		wanted[l.DiffID] = append(wanted[l.DiffID], i)
	}
	x.mu.Lock()
	kept := x.spooled != nil || x.opaque
	x.mu.Unlock()
	if kept {
		return false, nil
	}
	body, err := x.endpoint.get(ctx, "/images/"+x.name+"/get")
	if err != nil {
		return false, err
	}
	defer body.Close()
	members := tar.NewReader(body)
	for len(wanted) > 0 {
		h, err := members.Next()
		if atEnd(err) {
			return false, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return false, fmt.Errorf("reading the daemon's archive: %w", err)
		}
		d, ok := memberDiffID(h)
		same := wanted[d]
		if !ok || len(same) == 0 {
			continue
		}
		delete(wanted, d)
		quiet := *x.image.Layers[same[0]].blob
		quiet.seen = nil
		quiet.open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(members), nil }
		err = quiet.read(ctx, func(r io.Reader) error {
			return tree.ReadTar(ctx, r, func(e *tree.Entry, _ io.Reader) error {
				for _, i := range same {
					if err := fn(i, e); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// memberDiffID returns the diff id that a member of an archive is named after,
// if it may be a layer.
func memberDiffID(h *tar.Header) (Digest, bool) {
	d, ok := digestInName(cleanMember(h.Name))
	return d, ok && h.Typeflag == tar.TypeReg && !strings.HasSuffix(h.Name, ".json")
}
