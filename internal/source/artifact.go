package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Artifact is what a registry has under a name, before anybody says what it is:
// a container image, or files that are stored as they are.
type Artifact struct {
	Digest     Digest // of the manifest
	Type       string // the artifact's type, or else the media type of its configuration
	Name       string // of the repository, without the registry
	Origin     string // for people
	Blobs      []*Blob
	IsImage    bool // a container image, by the media type of its configuration
	repository *repository
	at         descriptor
	manifest   *manifest
	options    Options
}

// Blob is one stored file of an artifact, or layer of an image.
type Blob struct {
	Digest    Digest
	Size      int64
	MediaType string
	Title     string // the file's name, as whoever pushed it had it; may be anything, or ""
	Folder    bool   // a tool has packed a folder into it
	open      func(context.Context) (io.ReadCloser, error)
}

const (
	titleAnnotation = "org.opencontainers.image.title"
	// unpackAnnotation marks what the tool oras made of a folder.
	unpackAnnotation = "io.deis.oras.content.unpack"
)

// ErrNotFound tells that a registry does not have what it was asked for.
var ErrNotFound = errors.New("not in the registry")

// OpenArtifact opens what ref, whose scheme is Registry, names. It reads
// manifests only. The artifact must be closed.
func OpenArtifact(ctx context.Context, ref Ref, o Options) (*Artifact, error) {
	a, err := openArtifact(ctx, ref, o)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", ref, err)
	}
	return a, nil
}

func openArtifact(ctx context.Context, ref Ref, o Options) (*Artifact, error) {
	if ref.Scheme != Registry {
		return nil, fmt.Errorf("the scheme %q is not that of a registry", ref.Scheme)
	}
	r, parsed, err := openRepository(ctx, ref.Image, o)
	if err != nil {
		return nil, err
	}
	d, m, err := r.find(ctx, parsed, o.architecture())
	if err != nil {
		r.client.CloseIdleConnections()
		return nil, err
	}
	a := &Artifact{
		Digest: d.Digest, Type: m.ArtifactType, IsImage: isConfigType(m.Config.MediaType),
		Name: r.name.RepositoryStr(), Origin: "registry " + r.name.RegistryStr(),
		repository: r, at: d, manifest: m, options: o,
	}
	if a.Type == "" {
		a.Type = m.Config.MediaType
	}
	for _, layer := range m.Layers {
		a.Blobs = append(a.Blobs, &Blob{
			Digest: layer.Digest, Size: layer.Size, MediaType: layer.MediaType,
			Title: layer.Annotations[titleAnnotation], Folder: layer.Annotations[unpackAnnotation] == "true",
			open: func(ctx context.Context) (io.ReadCloser, error) { return r.open(ctx, layer) },
		})
	}
	return a, nil
}

// Image opens the artifact as a container image, or says why it is none. It
// lives as long as the artifact does.
func (a *Artifact) Image(ctx context.Context) (*Image, error) {
	im, err := newImage(ctx, a.repository, a.at, a.manifest)
	if err != nil {
		return nil, err
	}
	im.Origin = a.Origin
	im.finish(a.options)
	return im, nil
}

// Close gives back connections.
func (a *Artifact) Close() { a.repository.client.CloseIdleConnections() }

// Open streams the blob as it is stored and goes on where a broken connection
// left off. Only after io.EOF may what came be trusted: bytes that are not what
// the digest promises end in a *MismatchError instead. It must be closed.
func (b *Blob) Open(ctx context.Context) (io.ReadCloser, error) {
	rc, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	name := "the file"
	if b.Title != "" {
		name = fmt.Sprintf("the file %q", printable(b.Title))
	}
	stated := &blob{name: name, size: b.Size, digest: b.Digest}
	return &checkedReader{countingReader{r: rc, blob: stated}, rc, sha256.New()}, nil
}

// checkedReader ends well only if the blob is what was promised.
type checkedReader struct {
	counted countingReader
	io.Closer
	hash hash.Hash
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.counted.Read(p)
	c.hash.Write(p[:n])
	if !atEnd(err) {
		return n, err
	}
	if err := c.counted.complete(); err != nil {
		return n, err
	}
	promised := c.counted.blob
	if got := Digest(digestPrefix + hex.EncodeToString(c.hash.Sum(nil))); got != promised.digest {
		return n, &MismatchError{What: promised.name, Want: promised.digest, Got: got}
	}
	return n, io.EOF
}
