package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/source"
)

// mediaType is how Kairos' tools mark an image of kind k that lies in a registry
// as it is.
func mediaType(k extension.Kind) string { return "application/vnd.kairos." + k.Name + ".raw" }

// kindOfType returns the kind that t marks.
func kindOfType(t string) (extension.Kind, bool) {
	for _, k := range extension.Kinds() {
		if t == mediaType(k) {
			return k, true
		}
	}
	return extension.Kind{}, false
}

func (r Request) openOCI(ctx context.Context, ref Ref) (*Download, error) {
	if r.Checksums {
		return nil, hint.Wrap(fmt.Errorf("a registry has no %s", sumsName),
			"leave --checksums away: what a registry sends is checked against its manifest; oci:NAME@sha256:DIGEST names one")
	}
	a, err := source.OpenArtifact(ctx, source.Ref{Scheme: source.Registry, Image: ref.Image}, source.Options{
		Architecture: r.Architecture, AuthFile: r.AuthFile, Insecure: r.Insecure, Progress: r.Progress,
	})
	if err != nil {
		return nil, found(err)
	}
	d, err := r.openArtifact(ctx, a)
	if err != nil {
		a.Close()
		return nil, found(err)
	}
	d.Source = "oci:" + ref.Image
	if !strings.Contains(ref.Image, "@") {
		d.Source += "@" + string(a.Digest) // what the tag meant
	}
	return d, nil
}

func found(err error) error {
	if errors.Is(err, source.ErrNotFound) {
		return &missing{err}
	}
	return err
}

func (r Request) openArtifact(ctx context.Context, a *source.Artifact) (*Download, error) {
	images := rawBlobs(a)
	switch {
	case len(images) > 1:
		var names []string
		for _, b := range images {
			names = append(names, blobName(a, b))
		}
		return nil, several(names)
	case len(images) == 1:
		return &Download{
			FileName: blobName(a, images[0]), Size: images[0].Size,
			content: &stored{artifact: a, blob: images[0], progress: r.Progress},
		}, nil
	case !a.IsImage:
		return nil, hint.Wrap(fmt.Errorf("the artifact, of type %q, holds no raw image", clip(a.Type)), noneAdvice)
	}
	im, err := a.Image(ctx)
	if err != nil {
		return nil, err
	}
	d, err := r.openImage(ctx, a, im)
	if err != nil {
		_ = im.Close()
	}
	return d, err
}

const noneAdvice = "make an extension of it with inlay build, or lay out its files with inlay unpack"

func several(names []string) error {
	const most = 10
	slices.Sort(names)
	text := strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return hint.Wrap(fmt.Errorf("it holds %d raw images: %s", len(names), text), "name an image that holds one")
}

// rawBlobs returns what is a raw image as it is stored. In an artifact its title
// says so even if a tool that was told no media type called it a layer.
func rawBlobs(a *source.Artifact) []*source.Blob {
	_, typed := kindOfType(a.Type)
	var images []*source.Blob
	for _, b := range a.Blobs {
		_, marked := kindOfType(b.MediaType)
		packed := b.Folder || strings.HasSuffix(b.MediaType, "gzip") || strings.HasSuffix(b.MediaType, "zstd")
		titled := isImage(b.Title) && !packed && (!a.IsImage || !strings.Contains(b.MediaType, "tar"))
		if marked || titled || typed && len(a.Blobs) == 1 && !packed {
			images = append(images, b)
		}
	}
	return images
}

// blobName returns what to call the blob: its title, or else what the repository
// is called.
func blobName(a *source.Artifact, b *source.Blob) string {
	if name := safe(b.Title[strings.LastIndexAny(b.Title, `/\`)+1:]); name != "" {
		return name
	}
	for _, t := range []string{b.MediaType, a.Type} {
		if k, ok := kindOfType(t); ok {
			return k.FileName(path.Base(a.Name))
		}
	}
	return path.Base(a.Name) + ".raw"
}

// stored is a blob that is the file.
type stored struct {
	artifact *source.Artifact
	blob     *source.Blob
	progress func(done, total int64)
}

func (s *stored) close() { s.artifact.Close() }

func (s *stored) copyTo(ctx context.Context, dst Destination, _ source.Digest) (Result, error) {
	rc, err := s.blob.Open(ctx)
	if err != nil {
		return Result{}, found(err)
	}
	defer rc.Close()
	w := &writer{dst: dst, hash: sha256.New()}
	buf := make([]byte, 256<<10)
	for {
		n, err := rc.Read(buf)
		if _, err := w.Write(buf[:n]); err != nil {
			return Result{}, err
		}
		if s.progress != nil && n > 0 {
			s.progress(w.off, max(w.off, s.blob.Size))
		}
		if err == io.EOF {
			return w.result(), nil
		}
		if err != nil {
			return Result{}, found(err)
		}
	}
}

func (w *writer) result() Result {
	return Result{Digest: source.Digest("sha256:" + hex.EncodeToString(w.hash.Sum(nil))), Size: w.off}
}

func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
