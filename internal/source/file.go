package source

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"inlay/internal/hint"
)

// peekSize is how much of a compressed tar is looked at to tell what it is.
// Image archives show themselves in their first member or two.
const peekSize = 1 << 20

func openFile(ctx context.Context, path string, o Options) (im *Image, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, hint.Wrap(err, "name an existing archive")
	}
	if info.IsDir() {
		return nil, hint.Wrap(fmt.Errorf("%q is a folder", path),
			fmt.Sprintf("write dir:%s, or layout:%s if it is an OCI layout", path, path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		// A pipe can be read once only, and layers may be walked again.
		spooled, _, err := spool(ctx, o.SpoolDir, f)
		if err != nil {
			return nil, err
		}
		f.Close()
		f = spooled
	}
	im, err = openArchive(ctx, f, o)
	if err != nil {
		return nil, err
	}
	im.Origin += fmt.Sprintf(" %q", path)
	im.file = info
	return im, nil
}

// openArchive tells what the file is. Once it succeeds the image owns f.
func openArchive(ctx context.Context, f *os.File, o Options) (*Image, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, magicLen)
	n, err := f.ReadAt(head, 0)
	if err != nil && !atEnd(err) {
		return nil, err
	}
	kind, err := detectCompression(head[:n])
	if err != nil {
		return nil, err
	}
	whole := blob{name: "the archive", size: info.Size(), open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), nil
	}}
	if kind == plain {
		im, err := plainArchive(ctx, f, info.Size(), o)
		if errors.Is(err, errBareLayer) {
			im, err = bareLayer(whole), nil
		}
		if err != nil {
			return nil, err
		}
		im.closers = append(im.closers, f.Close)
		return im, nil
	}
	bare, err := peekBare(ctx, &whole)
	if err != nil {
		return nil, err
	}
	if !bare {
		im, err := spoolArchive(ctx, &whole, o)
		if err == nil {
			f.Close()
			return im, nil
		}
		if !errors.Is(err, errBareLayer) {
			return nil, err
		}
	}
	im := bareLayer(whole)
	im.closers = append(im.closers, f.Close)
	return im, nil
}

// bareLayer is an image of one layer that states nothing about itself.
func bareLayer(b blob) *Image {
	return &Image{Origin: "layer archive", Layers: []*Layer{{Size: b.size, blob: &b}}}
}

// plainArchive opens an uncompressed archive of an image, or returns errBareLayer.
func plainArchive(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Image, error) {
	a, err := indexArchive(ctx, r, size)
	switch {
	case errors.Is(err, errBareLayer):
		return nil, err
	case err != nil:
		return nil, notTar(fmt.Errorf("reading the archive: %w", err))
	}
	return imageArchive(ctx, a, o)
}

func imageArchive(ctx context.Context, a *archive, o Options) (*Image, error) {
	// Docker from 25 on writes both forms; its manifest.json names the one
	// image that was saved, while the index may list platforms it left out.
	if a.has("manifest.json") {
		im, err := dockerArchive(a)
		if im != nil || err != nil {
			return im, err
		}
	}
	if a.has("oci-layout") && a.has("index.json") {
		im, err := layoutImage(ctx, a, Ref{Scheme: Layout}, o.architecture())
		if err != nil {
			return nil, err
		}
		im.Origin = "oci-archive"
		return im, nil
	}
	if a.has("repositories") {
		return nil, hint.Wrap(errors.New("the archive was written by a Docker older than 1.10"),
			"load it into a current Docker and save it again")
	}
	return nil, errBareLayer
}

func notTar(err error) error {
	switch {
	case errors.Is(err, tar.ErrHeader):
		return hint.Wrap(err, "file: takes a docker-archive, an oci-archive or a layer's tar, also packed with gzip or zstd")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return hint.Wrap(err, "check that the file is whole, and fetch or make it again")
	}
	return err
}

// peekBare tells whether a compressed tar is surely a bare layer, which then
// need not be spooled.
func peekBare(ctx context.Context, b *blob) (bare bool, err error) {
	var head bytes.Buffer
	err = b.read(ctx, func(r io.Reader) error {
		if _, err := io.CopyN(&head, r, peekSize); err != nil {
			return err
		}
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) && !atEnd(err) {
		return false, notTar(err)
	}
	headers := tar.NewReader(&head)
	for first := true; ; first = false {
		h, err := headers.Next()
		switch {
		case err != nil && first && !errors.Is(err, tar.ErrInsecurePath) && !atEnd(err):
			return false, notTar(fmt.Errorf("reading the archive: %w", err))
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return false, nil // the window ends without an answer
		case isRootName(h.Name):
			return true, nil
		case isArchiveName(h.Name):
			return false, nil
		}
	}
}

// spoolArchive inflates an archive of an image once, as its members can only
// be found by seeking.
func spoolArchive(ctx context.Context, b *blob, o Options) (*Image, error) {
	var f *os.File
	var size int64
	err := b.read(ctx, func(r io.Reader) (err error) {
		f, size, err = spool(ctx, o.SpoolDir, r)
		return err
	})
	if err == nil {
		var im *Image
		if im, err = plainArchive(ctx, f, size, o); err == nil {
			im.closers = append(im.closers, f.Close)
			return im, nil
		}
	}
	if f != nil {
		f.Close()
	}
	return nil, err
}
