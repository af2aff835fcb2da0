package source_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// TestBareLayer promises that a layer's tar is told from an image's archive,
// however it is packed, and that a file named like a manifest is just a file.
func TestBareLayer(t *testing.T) {
	t.Parallel()
	usr := file{name: "usr/bin/x", body: "x"}
	for name, content := range map[string][]file{
		"usr first":         {usr},
		"dot first":         {{name: "./", kind: tar.TypeDir}, {name: "./usr/", kind: tar.TypeDir}, usr},
		"no root names":     {{name: "app", body: "a"}, {name: "data/blob", body: "b"}},
		"manifest inside":   {{name: "manifest.json", body: `{"name":"a web app"}`}, usr},
		"manifest in ./":    {{name: "manifest.json", body: `[]`}, {name: "app", body: "x"}},
		"index inside":      {{name: "index.json", body: `{}`}, {name: "app", body: "x"}},
		"whiteout first":    {{name: ".wh.app"}, {name: "manifest.json", body: "[]"}},
		"nothing at all":    {},
		"named like bzip2":  {{name: "BZh-tools/x", body: "x"}, usr},
		"far down the tape": {{name: "big", body: strings.Repeat("b", 3<<20)}, {name: "small", body: "s"}},
	} {
		plain := makeTar(t, content...)
		var want []string
		for packing, b := range map[string][]byte{"": plain, " gzip": gzipBytes(t, plain), " zstd": zstdBytes(t, plain)} {
			t.Run(name+packing, func(t *testing.T) {
				im := mustOpen(t, "file:"+write(t, "layer", b), source.Options{})
				if len(im.Layers) != 1 || im.Digest != "" || !strings.HasPrefix(im.Origin, "layer archive") {
					t.Fatalf("%d layers, digest %q, origin %q", len(im.Layers), im.Digest, im.Origin)
				}
				got, err := lines(t.Context(), im.Layers[0])
				if err != nil || len(got) != len(content) {
					t.Fatalf("got %q, %v", got, err)
				}
				if want == nil {
					want = got
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestPipe promises that what can be read once only is still walked twice.
func TestPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	content := gzipBytes(t, makeTar(t, file{name: "usr/x", body: "x"}))
	go func() {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Error(err)
		}
	}()
	im := mustOpen(t, "file:"+path, source.Options{})
	for range 2 {
		if got, err := lines(t.Context(), im.Layers[0]); err != nil || len(got) != 1 {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// docker makes a docker-archive of one image from parts that may be wrong.
func docker(t testing.TB, config string, layers []string, files ...file) []byte {
	t.Helper()
	manifest, err := json.Marshal([]map[string]any{{"Config": config, "Layers": layers}})
	if err != nil {
		t.Fatal(err)
	}
	return makeTar(t, append(files, file{name: "manifest.json", body: string(manifest)})...)
}

func configJSON(diffIDs ...source.Digest) string {
	b, _ := json.Marshal(map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"diff_ids": diffIDs}})
	return string(b)
}

// TestHostileArchives promises one clear line for archives that are broken or
// made to confuse.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	layer := makeTar(t, file{name: "usr/x", body: "x"})
	l := file{name: "l.tar", body: string(layer)}
	config := file{name: "c.json", body: configJSON(digest(layer))}
	many := make([]string, 2000)
	tests := map[string]struct {
		archive   []byte
		err, hint string
	}{
		"no config":         {docker(t, "c.json", []string{"l.tar"}, l), `does not hold "c.json"`, ""},
		"no layer":          {docker(t, "c.json", []string{"l.tar"}, config), `does not hold "l.tar"`, ""},
		"no layers":         {docker(t, "c.json", nil, l, config), "has no layers", "COPY"},
		"layers differ":     {docker(t, "c.json", []string{"l.tar", "l.tar"}, l, config), "knows 1 layers, its manifest 2", ""},
		"endless layers":    {docker(t, "c.json", many, l, config), "more than 1024", ""},
		"bad diff id":       {docker(t, "c.json", []string{"l.tar"}, l, file{name: "c.json", body: configJSON("sha256:12")}), "64 lower-case hex digits", ""},
		"other algorithm":   {docker(t, "c.json", []string{"l.tar"}, l, file{name: "c.json", body: configJSON("md5:12")}), "not of the form sha256:HEX", ""},
		"config no JSON":    {docker(t, "c.json", []string{"l.tar"}, l, file{name: "c.json", body: "{"}), "not valid JSON", ""},
		"config renamed":    {docker(t, strings.Repeat("0", 64)+".json", []string{"l.tar"}, l, file{name: strings.Repeat("0", 64) + ".json", body: config.body}), "has the digest", ""},
		"huge config":       {docker(t, "c.json", []string{"l.tar"}, l, file{name: "c.json", body: strings.Repeat(" ", 5<<20)}), "more than", ""},
		"link circle":       {docker(t, "c.json", []string{"a"}, config, file{name: "a", kind: tar.TypeSymlink, link: "b"}, file{name: "b", kind: tar.TypeSymlink, link: "a"}), "circles", ""},
		"link out":          {docker(t, "c.json", []string{"a"}, config, file{name: "a", kind: tar.TypeSymlink, link: "../../../../etc/passwd"}), "does not hold", ""},
		"name twice":        {docker(t, "c.json", []string{"l.tar"}, l, l, config), "twice", ""},
		"two images":        {makeTar(t, file{name: "manifest.json", body: `[{"RepoTags":["a:1"]},{"RepoTags":["b:1"]}]`}), "holds 2 images: a:1, b:1", "archive of its own"},
		"Docker 1.9":        {makeTar(t, file{name: "repositories", body: "{}"}), "older than 1.10", "save it again"},
		"xz":                {[]byte("\xfd7zXZ\x00rest"), "xz is not read", "gzip or zstd"},
		"bzip2":             {[]byte("BZh91AY&SY"), "bzip2 is not read", "gzip or zstd"},
		"text":              {[]byte(strings.Repeat("no tar at all\n", 100)), "reading the archive", "docker-archive"},
		"packed text":       {gzipBytes(t, []byte(strings.Repeat("no tar at all\n", 100))), "reading the archive", "docker-archive"},
		"cut gzip":          {gzipBytes(t, layer)[:30], "unexpected EOF", "is whole"},
		"layout, old":       {makeTar(t, file{name: "oci-layout", body: `{"imageLayoutVersion":"0.1"}`}, file{name: "index.json", body: "{}"}), `version "0.1"`, ""},
		"layout, empty":     {makeTar(t, file{name: "oci-layout", body: `{"imageLayoutVersion":"1.0.0"}`}, file{name: "index.json", body: `{"schemaVersion":2,"manifests":[]}`}), "the index holds none", "--arch"},
		"layout, not index": {makeTar(t, file{name: "oci-layout", body: `{"imageLayoutVersion":"1.0.0"}`}, file{name: "index.json", body: `{"schemaVersion":2,"manifests":[],"layers":[]}`}), "both an image and an index", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, err := open(t, "file:"+write(t, "a.tar", tt.archive), source.Options{Architecture: "amd64"})
			if err == nil {
				_, err = lines(t.Context(), im.Layers[0])
				im.Close()
			}
			wantError(t, err, tt.err, tt.hint)
		})
	}
}

// TestMismatch promises that a layer that is not what its image says ends in
// an error, wherever the difference lies and however it is packed.
func TestMismatch(t *testing.T) {
	t.Parallel()
	layer := makeTar(t, file{name: "usr/x", body: strings.Repeat("x", 1<<20)}, file{name: "usr/y", body: "y"})
	other := makeTar(t, file{name: "usr/x", body: strings.Repeat("x", 1<<20)}, file{name: "usr/y", body: "z"})
	for name, stored := range map[string][]byte{"plain": other, "gzip": gzipBytes(t, other), "zstd": zstdBytes(t, other)} {
		t.Run("diff id, "+name, func(t *testing.T) {
			t.Parallel()
			a := docker(t, "c.json", []string{"l"}, file{name: "l", body: string(stored)}, file{name: "c.json", body: configJSON(digest(layer))})
			im := mustOpen(t, "file:"+write(t, "a.tar", a), source.Options{})
			got, err := lines(t.Context(), im.Layers[0])
			m, ok := errors.AsType[*source.MismatchError](err)
			if !ok || m.Want != digest(layer) || m.Got != digest(other) {
				t.Errorf("got %v", err)
			}
			if len(got) != 2 {
				t.Errorf("the entries came as %q", got)
			}
		})
		t.Run("digest, "+name, func(t *testing.T) {
			t.Parallel()
			im := testImage(t, "amd64", types.OCILayer, func(testing.TB, []byte) []byte { return stored }, layer)
			dir := layoutDir(t, im)
			blob := filepath.Join(dir, "blobs", "sha256", digest(stored).Hex())
			for what, wrong := range map[string][]byte{"flipped": flipLast(stored), "short": stored[:len(stored)-1], "long": append(slices.Clip(stored), 0)} {
				if err := os.Chmod(blob, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(blob, wrong, 0o600); err != nil {
					t.Fatal(err)
				}
				opened := mustOpen(t, "layout:"+dir, source.Options{})
				if _, err := lines(t.Context(), opened.Layers[0]); err == nil {
					t.Errorf("%s: no error", what)
				}
			}
		})
	}
}

func flipLast(b []byte) []byte {
	c := append([]byte(nil), b...)
	c[len(c)-1] ^= 0x80
	return c
}

// TestTrailing promises that a compressed stream cannot carry more than its layer.
func TestTrailing(t *testing.T) {
	t.Parallel()
	layer := makeTar(t, file{name: "usr/x"})
	for name, b := range map[string][]byte{
		"gzip and rubbish": append(gzipBytes(t, layer), "rubbish"...),
		"zstd and rubbish": append(zstdBytes(t, layer), "rubbish"...),
		"two layers":       append(gzipBytes(t, layer), gzipBytes(t, layer)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, err := open(t, "file:"+write(t, "l", b), source.Options{})
			if err == nil {
				defer im.Close()
				_, err = lines(t.Context(), im.Layers[0])
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

// TestLayoutNames promises that a layout's images are found by tag and digest.
func TestLayoutNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := namedImage(t, dir, "v1"), namedImage(t, dir, "example.test/x:v2")
	tests := map[string]struct {
		suffix, err, hint string
		want              source.Digest
	}{
		"tag":            {":v1", "", "", one},
		"tag in a name":  {":v2", "", "", two},
		"digest":         {"@" + string(two), "", "", two},
		"none":           {"", "holds 2 images: v1, example.test/x:v2", "layout:PATH:TAG", ""},
		"missing tag":    {":v3", `no image with the tag "v3", but v1, example.test/x:v2`, "layout:PATH:TAG", ""},
		"missing digest": {"@" + someDigest, "does not hold sha256:0123456789ab", "incomplete", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, err := open(t, "layout:"+dir+tt.suffix, source.Options{})
			if tt.err != "" {
				wantError(t, err, tt.err, tt.hint)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			if im.Digest != tt.want {
				t.Errorf("got %s, want %s", im.Digest, tt.want)
			}
		})
	}
	_, err := open(t, "layout:"+t.TempDir(), source.Options{})
	wantError(t, err, "not an OCI layout", "dir:PATH")
	_, err = open(t, "file:"+dir, source.Options{})
	wantError(t, err, "is a folder", fmt.Sprintf("layout:%s", dir))
}
