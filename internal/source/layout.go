package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"inlay/internal/hint"
)

// refName is the annotation by which a layout names its images.
const refName = "org.opencontainers.image.ref.name"

// files gives a layout's files by their slash-separated names: a folder, or an
// archive of one. A missing file is fs.ErrNotExist.
type files interface {
	file(name string) (io.ReadCloser, error)
}

// layoutStore reads content from an OCI image layout.
type layoutStore struct{ files }

func (s layoutStore) open(_ context.Context, d descriptor) (io.ReadCloser, error) {
	rc, err := s.file("blobs/sha256/" + d.Digest.Hex())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint.Wrap(fmt.Errorf("the layout does not hold %s", d.Digest.Short()),
			"the layout is incomplete: copy the image again")
	}
	return rc, err
}

func (s layoutStore) manifest(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	return s.open(ctx, d)
}

func openLayout(ctx context.Context, ref Ref, o Options) (*Image, error) {
	info, err := os.Stat(ref.Path)
	if err != nil {
		return nil, hint.Wrap(err, "name an existing folder that holds oci-layout and index.json")
	}
	if !info.IsDir() {
		return nil, hint.Wrap(fmt.Errorf("%q is not a folder", ref.Path), "did you mean file:"+ref.Path+"?")
	}
	im, err := layoutImage(ctx, folder(ref.Path), ref, o.architecture())
	if err != nil {
		return nil, err
	}
	im.Origin = fmt.Sprintf("OCI layout %q", ref.Path)
	im.stamp = stampOf(im.Digest)
	return im, nil
}

func layoutImage(ctx context.Context, from files, ref Ref, arch string) (*Image, error) {
	index, err := readIndex(from)
	if err != nil {
		return nil, err
	}
	s := layoutStore{from}
	d, err := pick(index, ref, arch)
	if err != nil {
		return nil, err
	}
	d, m, err := resolve(ctx, s, d, arch)
	if err != nil {
		return nil, err
	}
	return newImage(ctx, s, d, m)
}

// readIndex reads oci-layout and index.json.
func readIndex(from files) (*manifest, error) {
	b, err := readFile(from, "oci-layout")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint.Wrap(errors.New("this is not an OCI layout: it has no file oci-layout"),
			"for a plain folder tree write dir:PATH")
	} else if err != nil {
		return nil, err
	}
	var marker struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(b, &marker); err != nil {
		return nil, fmt.Errorf("reading oci-layout: %w", err)
	}
	if !strings.HasPrefix(marker.Version, "1.") {
		return nil, fmt.Errorf("the layout has version %q, not 1.x", clip(marker.Version))
	}
	if b, err = readFile(from, "index.json"); err != nil {
		return nil, fmt.Errorf("reading the layout: %w", err)
	}
	m, err := parseManifest(b, "")
	if err == nil && !m.isIndex() {
		err = errors.New("it is an image's manifest, not an index")
	}
	if err != nil {
		return nil, fmt.Errorf("reading index.json: %w", err)
	}
	return m, nil
}

func readFile(from files, name string) ([]byte, error) {
	rc, err := from.file(name)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	b, err := io.ReadAll(io.LimitReader(rc, maxManifest+1))
	if err == nil && len(b) > maxManifest {
		err = fmt.Errorf("it has more than %d bytes", maxManifest)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b, nil
}

// pick finds what ref names in a layout's index.
func pick(index *manifest, ref Ref, arch string) (descriptor, error) {
	list := index.Manifests
	switch {
	case ref.Digest != "":
		for _, d := range list {
			if d.Digest == ref.Digest {
				return d, nil
			}
		}
		// An index may hold its images one level down, where only blobs tell.
		return descriptor{Digest: ref.Digest, Size: -1}, nil
	case ref.Tag != "":
		list = nil
		for _, d := range index.Manifests {
			if n := d.Annotations[refName]; n == ref.Tag || strings.HasSuffix(n, ":"+ref.Tag) {
				list = append(list, d)
			}
		}
		if len(list) == 0 {
			return descriptor{}, hint.Wrap(fmt.Errorf("the layout has no image with the tag %q, but %s", ref.Tag, tags(index)),
				"write layout:PATH:TAG with one of these")
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	// Several images of one name are one image for several platforms.
	named := map[string]bool{}
	for _, d := range list {
		if n := d.Annotations[refName]; n != "" {
			named[n] = true
		}
	}
	if len(named) > 1 {
		return descriptor{}, hint.Wrap(fmt.Errorf("the layout holds %d images: %s", len(list), tags(index)),
			"write layout:PATH:TAG or layout:PATH@sha256:DIGEST")
	}
	return choose(list, arch)
}

func tags(index *manifest) string {
	var names []string
	for _, d := range index.Manifests {
		if n := d.Annotations[refName]; n != "" {
			names = append(names, printable(n))
		}
	}
	if len(names) == 0 {
		return "none with a tag"
	}
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// folder is a layout on disk.
type folder string

func (f folder) file(name string) (io.ReadCloser, error) {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	// Asked before opening: to open a pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", path)
	}
	return os.Open(path)
}
