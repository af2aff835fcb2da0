package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"inlay/internal/hint"
)

// maxIndexDepth bounds how many indexes may lie inside one another. A layout's
// own index.json often points to one more, and nobody has a use for a third.
const maxIndexDepth = 4

// store holds content by digest: a layout's blobs folder, an archive of one,
// or a repository of a registry.
type store interface {
	// open streams the content that d points to. Whoever reads it checks it.
	open(ctx context.Context, d descriptor) (io.ReadCloser, error)
	// manifest streams a manifest, which registries keep apart from blobs.
	manifest(ctx context.Context, d descriptor) (io.ReadCloser, error)
}

// readSmall reads a manifest or configuration whole and checks it.
func readSmall(rc io.ReadCloser, d descriptor, what string) ([]byte, error) {
	defer rc.Close()
	b, err := io.ReadAll(io.LimitReader(rc, maxManifest+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", what, err)
	case len(b) > maxManifest:
		return nil, fmt.Errorf("reading %s: it has more than %d bytes", what, maxManifest)
	}
	if got := digestOf(b); got != d.Digest {
		return nil, &MismatchError{What: what, Want: d.Digest, Got: got}
	}
	return b, nil
}

// resolve follows d to the manifest of the image for arch.
func resolve(ctx context.Context, s store, d descriptor, arch string) (descriptor, *manifest, error) {
	for range maxIndexDepth {
		rc, err := s.manifest(ctx, d)
		if err != nil {
			return d, nil, err
		}
		b, err := readSmall(rc, d, "the manifest")
		if err != nil {
			return d, nil, err
		}
		m, err := parseManifest(b, d.MediaType)
		if err != nil || !m.isIndex() {
			return d, m, err
		}
		if d, err = choose(m.Manifests, arch); err != nil {
			return d, nil, err
		}
	}
	return d, nil, errors.New("its indexes lie inside one another without end")
}

// newImage makes the image that the manifest m, which d points to, describes.
func newImage(ctx context.Context, s store, d descriptor, m *manifest) (*Image, error) {
	if err := m.checkImage(); err != nil {
		return nil, err
	}
	if len(m.Layers) == 0 {
		return nil, hint.Wrap(errors.New("the image has no layers"), "build it with at least one COPY, ADD or RUN")
	}
	rc, err := s.open(ctx, *m.Config)
	if err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	b, err := readSmall(rc, *m.Config, "the image's configuration")
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(b, len(m.Layers))
	if err != nil {
		return nil, err
	}
	im := &Image{Digest: d.Digest, OS: c.OS, Architecture: c.Architecture, Created: c.created()}
	commands := c.commands()
	for i, ld := range m.Layers {
		im.Layers = append(im.Layers, &Layer{
			Digest:    ld.Digest,
			DiffID:    c.RootFS.DiffIDs[i],
			Size:      ld.Size,
			MediaType: ld.MediaType,
			CreatedBy: commands[i],
			blob: &blob{
				size:   ld.Size,
				digest: ld.Digest,
				diffID: c.RootFS.DiffIDs[i],
				open:   func(ctx context.Context) (io.ReadCloser, error) { return s.open(ctx, ld) },
			},
		})
	}
	return im, nil
}
