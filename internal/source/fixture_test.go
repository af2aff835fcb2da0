package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"inlay/internal/source"
	"inlay/internal/tree"
)

// file is one entry of a fixture's tar.
type file struct {
	name string
	body string
	kind byte // tar's type flag; 0 is a regular file
	link string
	mode int64
}

func makeTar(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{
			Name: f.name, Typeflag: f.kind, Linkname: f.link, Mode: f.mode, Size: int64(len(f.body)),
			Uid: 7, Gid: 8, ModTime: time.Unix(1700000000, 0), Format: tar.FormatPAX,
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipBytes(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstdBytes(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func digest(b []byte) source.Digest {
	sum := sha256.Sum256(b)
	return source.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// twoLayers is the content that every source kind has to give back.
func twoLayers(t testing.TB) [2][]byte {
	t.Helper()
	return [2][]byte{
		makeTar(t,
			file{name: "usr/", kind: tar.TypeDir, mode: 0o755},
			file{name: "usr/lib/", kind: tar.TypeDir, mode: 0o755},
			file{name: "usr/lib/os-release", body: "ID=test\n"},
			file{name: "usr/bin/old", body: "old"}),
		makeTar(t,
			file{name: "./usr/bin/tool", body: strings.Repeat("tool", 200_000), mode: 0o4755},
			file{name: "usr/bin/alias", kind: tar.TypeSymlink, link: "tool", mode: 0o777},
			file{name: "usr/bin/same", kind: tar.TypeLink, link: "usr/bin/tool"},
			file{name: "usr/bin/.wh.old"},
			file{name: "usr/share/" + strings.Repeat("long", 50), body: "long"}),
	}
}

// testImage makes an image of the given layer tars for platform linux/arch.
// pack turns a tar into the stored form.
func testImage(t testing.TB, arch string, media types.MediaType, pack func(testing.TB, []byte) []byte, tars ...[]byte) v1.Image {
	t.Helper()
	im := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	im = mutate.ConfigMediaType(im, types.OCIConfigJSON)
	var adds []mutate.Addendum
	for i, b := range tars {
		l := static.NewLayer(pack(t, b), media)
		adds = append(adds, mutate.Addendum{
			Layer: packed{l, digest(b)}, MediaType: media,
			History: v1.History{CreatedBy: fmt.Sprintf("COPY %d", i)},
		})
		if i == 0 {
			adds = append(adds, mutate.Addendum{History: v1.History{CreatedBy: "ENV a=b", EmptyLayer: true}})
		}
	}
	im, err := mutate.Append(im, adds...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := im.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", arch
	c.Created = v1.Time{Time: time.Unix(1700000001, 0)}
	if im, err = mutate.ConfigFile(im, c); err != nil {
		t.Fatal(err)
	}
	return im
}

// packed is a static layer that knows the digest of its uncompressed form.
type packed struct {
	v1.Layer
	diffID source.Digest
}

func (p packed) DiffID() (v1.Hash, error) { return v1.NewHash(string(p.diffID)) }

func asIs(_ testing.TB, b []byte) []byte { return b }

// lines walks a layer into one line an entry.
func lines(ctx context.Context, l tree.Layer) ([]string, error) {
	var out []string
	err := l.Walk(ctx, func(e *tree.Entry, r io.Reader) error {
		s := fmt.Sprintf("%s %o %d:%d %d %q %q", e.Kind, e.Mode, e.UID, e.GID, e.Sec, e.Name, e.Target+e.Link)
		if r != nil {
			b, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			s += fmt.Sprintf(" %d %s", len(b), digest(b).Short())
		}
		out = append(out, s)
		return nil
	})
	return out, err
}

// wantLines is what a correct source gives for a layer's tar.
func wantLines(t testing.TB, b []byte) []string {
	t.Helper()
	path := write(t, "want.tar", b)
	im := mustOpen(t, "file:"+path, source.Options{})
	got, err := lines(t.Context(), im.Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, ref string, o source.Options) (*source.Image, error) {
	t.Helper()
	r, err := source.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	if o.SpoolDir == "" {
		o.SpoolDir = t.TempDir()
	}
	return source.Open(t.Context(), r, o)
}

func mustOpen(t testing.TB, ref string, o source.Options) *source.Image {
	t.Helper()
	im, err := open(t, ref, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	})
	return im
}

func emptyIndex() v1.ImageIndex { return mutate.IndexMediaType(empty.Index, types.OCIImageIndex) }

func readAll(t testing.TB, r io.ReadCloser) string {
	t.Helper()
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// inflated undoes the packing of a fixture's layer.
func inflated(t testing.TB, r io.ReadCloser) string {
	t.Helper()
	b := readAll(t, r)
	switch {
	case strings.HasPrefix(b, "\x1f\x8b"):
		z, err := gzip.NewReader(strings.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, z)
	case strings.HasPrefix(b, "\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(strings.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, z.IOReadCloser())
	}
	return b
}
