package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
)

// maxExports is how often a daemon is asked for an archive before it is kept.
const maxExports = 2

// export is what a daemon sends for GET /images/NAME/get: a docker-archive.
//
// Docker from 25 on and Podman name a layer's member after its diff id, so that
// a single wanted layer is taken as it passes. Older Dockers name it after an id
// that only the manifest at the archive's end explains, and several layers
// would mean several exports, each of which the daemon prepares anew: then the
// archive is spooled, once. So it is for whoever keeps coming back for one more
// layer: the wanted layer and a look at the base take two exports.
type export struct {
	endpoint endpoint
	name     string
	image    *Image
	spoolDir string

	mu      sync.Mutex // layers may be walked at once
	spooled *Image     // the archive on disk, when there is one
	opaque  bool       // its members' names do not tell the layers
	count   int        // exports so far
}

func (x *export) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.endpoint.client.CloseIdleConnections()
	if x.spooled == nil {
		return nil
	}
	return x.spooled.Close()
}

// open returns layer i, counted from 0.
func (x *export) open(ctx context.Context, i int) (io.ReadCloser, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.spooled == nil {
		rc, err := x.stream(ctx, i)
		if rc != nil || err != nil {
			return rc, err
		}
	}
	return x.spooled.Layers[i].blob.open(ctx)
}

// stream returns the layer as it passes, or nothing if the archive has been
// spooled instead.
func (x *export) stream(ctx context.Context, i int) (io.ReadCloser, error) {
	body, err := x.endpoint.get(ctx, "/images/"+x.name+"/get")
	if err != nil {
		return nil, err
	}
	x.count++
	var seen bytes.Buffer // what the look at the first member has read
	input := bufio.NewReaderSize(body, chunkSize)
	tee := &teeOff{r: input, w: &seen}
	members := tar.NewReader(tee)
	h, err := members.Next()
	if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
		body.Close()
		return nil, fmt.Errorf("reading the daemon's archive: %w", err)
	}
	if x.opaque || x.wanted() > 1 || x.count > maxExports || !namesDiffIDs(h.Name) {
		defer body.Close()
		return nil, x.spool(ctx, io.MultiReader(&seen, input))
	}
	tee.w = nil
	want := x.image.Layers[i].DiffID
	for ; ; h, err = members.Next() {
		if atEnd(err) {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			body.Close()
			return nil, fmt.Errorf("reading the daemon's archive: %w", err)
		}
		if d, ok := memberDiffID(h); ok && d == want {
			if x.wanted() == 1 && x.image.Layers[i].wanted {
				x.image.progress.expect(h.Size)
			}
			return &passing{members, body}, nil
		}
	}
	// A daemon that stores layers compressed names them after that.
	body.Close()
	x.opaque = true
	return x.stream(ctx, i)
}

func (x *export) wanted() int {
	n := 0
	for _, l := range x.image.Layers {
		if l.wanted {
			n++
		}
	}
	return n
}

// namesDiffIDs tells from an archive's first member whether layers are found
// by name.
func namesDiffIDs(first string) bool {
	first = cleanMember(first)
	if first == "blobs" || strings.HasPrefix(first, "blobs/") {
		return true
	}
	_, ok := digestInName(first)
	return ok && strings.HasSuffix(first, ".tar")
}

// spool keeps the whole archive and checks that it is the image asked for.
func (x *export) spool(ctx context.Context, r io.Reader) error {
	f, size, err := spool(ctx, x.spoolDir, r)
	if err != nil {
		return fmt.Errorf("reading the daemon's archive: %w", err)
	}
	im, err := x.openSpooled(ctx, f, size)
	if err != nil {
		f.Close()
		return fmt.Errorf("reading the daemon's archive: %w", err)
	}
	im.closers = append(im.closers, f.Close)
	x.spooled = im
	for i, l := range im.Layers {
		x.image.Layers[i].CreatedBy = l.CreatedBy
	}
	return nil
}

func (x *export) openSpooled(ctx context.Context, f *os.File, size int64) (*Image, error) {
	a, err := indexArchive(ctx, f, size)
	if err != nil {
		return nil, err
	}
	im, err := dockerArchive(a)
	if err == nil && im == nil {
		err = errors.New("it has no manifest.json")
	}
	if err != nil {
		return nil, err
	}
	same := slices.EqualFunc(im.Layers, x.image.Layers, func(a, b *Layer) bool { return a.DiffID == b.DiffID })
	if !same {
		return nil, errors.New("its layers are not those of the image")
	}
	return im, nil
}

// passing is one member of an archive that streams by. Closing it drops the
// rest of the archive.
type passing struct {
	io.Reader
	body io.Closer
}

func (p *passing) Close() error { return p.body.Close() }

// teeOff copies what it reads to w until w is taken away.
type teeOff struct {
	r io.Reader
	w io.Writer
}

func (t *teeOff) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 && t.w != nil {
		if _, err := t.w.Write(p[:n]); err != nil {
			return n, err
		}
	}
	return n, err
}
