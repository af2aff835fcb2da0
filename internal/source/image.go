package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

// Image is an opened source. Its layers are read when they are walked, not
// before, so that an image costs no more than what is taken from it.
type Image struct {
	Layers       []*Layer  // lowest first, at least one
	Origin       string    // what was used and, for a bare reference, why; for people
	Digest       Digest    // of the manifest, or of the configuration where there is none; "" for a folder or a bare layer
	OS           string    // "linux", or "" if the image does not say
	Architecture string    // in Go's words; "" if the image does not say
	Created      time.Time // zero if the image does not say

	ref   Ref
	stamp string      // see Stamp
	file  fs.FileInfo // of the folder or the archive that was opened; nil for others
	// below is a cheaper way to do what NamesBelow does, if there is one.
	below    func(ctx context.Context, count int, fn func(layer int, e *tree.Entry) error) (done bool, err error)
	progress *progress
	closers  []func() error
}

// Close gives back files, connections and spooled data. Layers cannot be
// walked afterwards.
func (im *Image) Close() error {
	var errs []error
	for _, closer := range slices.Backward(im.closers) {
		errs = append(errs, closer())
	}
	im.closers = nil
	return errors.Join(errs...)
}

// Layer is one layer of an image.
type Layer struct {
	Digest    Digest // of the layer as it is stored; "" if not known
	DiffID    Digest // of its uncompressed tar; "" if not known
	Size      int64  // stored bytes; -1 if not known
	MediaType string // as the manifest says; "" if there is none
	CreatedBy string // the history's text for it, one line; may be ""

	number, count int // 1-based
	blob          *blob
	folder        tree.Layer // instead of a blob
	wanted        bool       // set by Select
	entries       atomic.Int64
	base          atomic.Int32
}

var _ tree.Layer = (*Layer)(nil)

// Name says which layer this is, for messages.
func (l *Layer) Name() string {
	if l.folder != nil {
		return l.folder.Name()
	}
	if l.count == 1 && l.Digest == "" && l.DiffID == "" {
		return "the layer"
	}
	name := fmt.Sprintf("layer %d of %d", l.number, l.count)
	if d := firstDigest(l.Digest, l.DiffID); d != "" {
		name += " (" + d.Short() + ")"
	}
	return name
}

func firstDigest(digests ...Digest) Digest {
	for _, d := range digests {
		if d != "" {
			return d
		}
	}
	return ""
}

// Walk calls fn for each entry of the layer, in the order in which the layer
// stores them. A layer whose bytes are not what its digests promise ends in an
// error, a *MismatchError, after the last call: until Walk has returned nil,
// nothing that came from it may be trusted. Layers can be walked more than once.
func (l *Layer) Walk(ctx context.Context, fn func(*tree.Entry, io.Reader) error) error {
	var entries int64
	var marked bool
	err := l.walk(ctx, func(e *tree.Entry, r io.Reader) error {
		entries++
		marked = marked || isBaseMarker(e.Name)
		return fn(e, r)
	})
	if err != nil {
		return err
	}
	l.entries.Store(entries)
	if marked {
		l.base.Store(baseFound)
	} else {
		l.base.Store(baseAbsent)
	}
	return nil
}

func (l *Layer) walk(ctx context.Context, fn func(*tree.Entry, io.Reader) error) error {
	if l.folder != nil {
		return l.folder.Walk(ctx, fn)
	}
	if err := l.check(); err != nil {
		return err
	}
	return l.blob.read(ctx, func(r io.Reader) error { return tree.ReadTar(ctx, r, fn) })
}

// check refuses a layer that cannot be read, before any byte of it flows.
func (l *Layer) check() error {
	if l.MediaType == "" {
		return nil
	}
	if err := checkLayerType(l.MediaType); err != nil {
		return fmt.Errorf("reading %s: %w", l.Name(), err)
	}
	return nil
}

// Select returns the layers that s chooses, lowest first. A source that has to
// be told what is wanted before it sends its bytes, such as a daemon, learns
// it here, and progress is counted against these layers.
func (im *Image) Select(s Selection) ([]*Layer, error) {
	from, to, err := s.Range(len(im.Layers))
	if err != nil {
		return nil, err
	}
	layers := im.Layers[from-1 : to]
	var total int64
	for _, l := range layers {
		if err := l.check(); err != nil {
			return nil, err
		}
		if l.Size < 0 || total < 0 {
			total = -1
		} else {
			total += l.Size
		}
	}
	for i, l := range im.Layers {
		l.wanted = i >= from-1 && i < to
	}
	im.progress.expect(total)
	return layers, nil
}

// Empty returns the error for a build that found nothing in layers, which have
// been walked: an image often ends with a layer that WORKDIR or ENV made. It
// returns nil if they held entries.
func (im *Image) Empty(layers []*Layer) error {
	for _, l := range layers {
		if l.entries.Load() > 0 {
			return nil
		}
	}
	var made string
	if len(layers) == 1 && layers[0].CreatedBy != "" {
		made = fmt.Sprintf(", made by %q,", layers[0].CreatedBy)
	}
	var names []string
	for _, l := range layers {
		names = append(names, l.Name())
	}
	err := fmt.Errorf("%s%s holds no files", strings.Join(names, ", "), made)
	if len(layers) == len(im.Layers) {
		return hint.Wrap(err, "check that the image was built with the files in it")
	}
	return hint.Wrap(err, "choose a layer that holds files, such as --layers all or --layers N, counted from the lowest")
}

// probe walks the layer without its content and without counting progress.
func (l *Layer) probe(ctx context.Context, fn func(e *tree.Entry) error) error {
	visit := func(e *tree.Entry, _ io.Reader) error { return fn(e) }
	if l.folder != nil {
		return l.folder.Walk(ctx, visit)
	}
	if err := l.check(); err != nil {
		return err
	}
	quiet := *l.blob
	quiet.seen = nil
	return quiet.read(ctx, func(r io.Reader) error { return tree.ReadTar(ctx, r, visit) })
}

// Names calls fn for each entry of the layer without its content, for what a
// layer that was not selected holds. It reads the whole layer and checks it, but
// counts as no progress.
func (l *Layer) Names(ctx context.Context, fn func(e *tree.Entry) error) error {
	return l.probe(ctx, fn)
}

// progress adds up what several layers read and passes it on.
type progress struct {
	report func(done, total int64)
	done   int64
	total  int64
}

func (p *progress) expect(total int64) {
	if p != nil {
		p.done, p.total = 0, total
	}
}

func (p *progress) add(n int64) {
	if p == nil || p.report == nil {
		return
	}
	p.done += n
	p.report(p.done, max(p.total, p.done, 0))
}
