package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/source"
	"inlay/internal/tree"
)

// layered is a file in the layers of a container image. They are read once: as
// far as the file's beginning to learn its name, and then on to their end, since
// only that tells whether there is another and whether the digests are right.
type layered struct {
	artifact *source.Artifact
	image    *source.Image
	walk     *rawFiles
	first    *rawFile
	cancel   context.CancelCauseFunc
}

// rawFile is a raw image in a layer. Its content can be read until the next one
// is asked for.
type rawFile struct {
	name    string
	size    int64
	content io.Reader
}

// rawFiles finds the raw images in a container image.
type rawFiles struct {
	next func() (*rawFile, bool)
	stop func()
	err  error // why there is no next one, if not because there is none
}

func (r Request) openImage(ctx context.Context, a *source.Artifact, im *source.Image) (*Download, error) {
	all, err := source.ParseLayers("all")
	if err != nil {
		return nil, err
	}
	layers, err := im.Select(all)
	if err != nil {
		return nil, hint.Default(err, noneAdvice)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	l := &layered{artifact: a, image: im, walk: newRawFiles(ctx, layers), cancel: cancel}
	first, ok := l.walk.next()
	if !ok {
		err := l.walk.err
		l.close()
		if err == nil {
			err = hint.Wrap(errors.New("no layer of the container image holds a raw image"), noneAdvice)
		}
		return nil, err
	}
	if first.content == nil {
		l.close()
		return nil, hint.Wrap(fmt.Errorf("%q is a hard link in its layer", first.name), "build the image with a plain COPY of the file")
	}
	l.first = first
	return &Download{FileName: safe(path.Base(first.name)), Size: first.size, content: l}, nil
}

func (l *layered) close() {
	l.cancel(context.Canceled)
	l.walk.stop()
	_ = l.image.Close() // of a registry's there is nothing to close
	l.artifact.Close()
}

func (l *layered) copyTo(ctx context.Context, dst Destination, _ source.Digest) (Result, error) {
	defer context.AfterFunc(ctx, func() { l.cancel(context.Cause(ctx)) })()
	w := &writer{dst: dst, hash: sha256.New()}
	if _, err := io.Copy(w, l.first.content); err != nil {
		return Result{}, err
	}
	if w.off != l.first.size {
		return Result{}, fmt.Errorf("%q has %d bytes in its layer, not %d", l.first.name, w.off, l.first.size)
	}
	names := []string{l.first.name}
	for len(names) <= maxNamed {
		other, ok := l.walk.next()
		if !ok {
			break
		}
		names = append(names, other.name)
	}
	switch {
	case l.walk.err != nil:
		return Result{}, found(l.walk.err)
	case len(names) > 1:
		return Result{}, several(names)
	}
	return w.result(), nil
}

// maxNamed is how many raw images are looked for before their number is enough to
// say that there are too many.
const maxNamed = 100

var errStopped = errors.New("no more is wanted")

// newRawFiles walks layers from the highest to the lowest, so that what hides a
// file is known before the file.
func newRawFiles(ctx context.Context, layers []*source.Layer) *rawFiles {
	w := &rawFiles{}
	w.next, w.stop = iter.Pull(func(yield func(*rawFile) bool) {
		above := tree.Mask{}
		for _, layer := range slices.Backward(layers) {
			hides := tree.Mask{}
			err := layer.Walk(ctx, func(e *tree.Entry, r io.Reader) error {
				return visit(e, r, above, hides, yield)
			})
			if err != nil {
				if !errors.Is(err, errStopped) {
					w.err = err
				}
				return
			}
			above.Join(hides)
		}
	})
	return w
}

// visit yields e if it is a raw image that no layer above hides, and adds to hides
// what it hides itself.
func visit(e *tree.Entry, r io.Reader, above, hides tree.Mask, yield func(*rawFile) bool) error {
	if e.Kind == tree.Whiteout || e.Kind == tree.Opaque {
		hides.Delete(e)
		return nil
	}
	if !isImage(e.Name) || e.Kind == tree.Directory {
		return nil
	}
	hides.Delete(&tree.Entry{Kind: tree.Whiteout, Name: e.Name})
	if e.Kind != tree.Regular && e.Kind != tree.HardLink || above.Hides(e.Name) {
		return nil
	}
	if !yield(&rawFile{name: strings.Clone(e.Name), size: e.Size, content: r}) {
		return errStopped
	}
	return nil
}
