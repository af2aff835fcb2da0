package source_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/hint"
	"inlay/internal/source"
	"inlay/internal/tree"
)

func TestDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "usr", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "usr", "bin", "x"), []byte("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	im := mustOpen(t, "dir:"+dir, source.Options{})
	layers, err := im.Select(source.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := lines(t.Context(), layers[0])
	if err != nil || len(got) != 4 || !strings.Contains(got[3], `"usr/bin/x"`) {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = open(t, "dir:"+filepath.Join(dir, "usr", "bin", "x"), source.Options{})
	wantError(t, err, "is not a folder", "did you mean file:")
	_, err = open(t, "dir:"+filepath.Join(dir, "none"), source.Options{})
	wantError(t, err, "no such file", "existing folder")
}

// TestBase promises that the base of an image is told by as little as possible
// of its lowest layer.
func TestBase(t *testing.T) {
	t.Parallel()
	usr := file{name: "usr/bin/x", body: "x"}
	for name, tt := range map[string]struct {
		lowest []file
		base   bool
	}{
		"usrmerge":        {[]file{{name: "bin", kind: tar.TypeSymlink, link: "usr/bin"}, usr}, true},
		"lib64":           {[]file{usr, {name: "./lib64/", kind: tar.TypeDir}}, true},
		"os-release":      {[]file{{name: "etc/os-release", body: "ID=x"}}, true},
		"usr/lib":         {[]file{{name: "usr/lib/os-release", body: "ID=x"}}, true},
		"scratch":         {[]file{usr, {name: "etc/x.conf"}, {name: "usr/lib/extension-release.d/extension-release.x"}}, false},
		"names that trap": {[]file{{name: "usr/bin/bin"}, {name: "usr/sbin/", kind: tar.TypeDir}, {name: "opt/lib64"}}, false},
		"nothing":         {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, tt.lowest...), makeTar(t, file{name: "bin/late"}))
			im := mustOpen(t, "layout:"+layoutDir(t, image), source.Options{Progress: func(int64, int64) { t.Error("a look is no progress") }})
			for range 2 {
				if base, err := im.Base(t.Context()); err != nil || base != tt.base {
					t.Errorf("got %v, %v, want %v", base, err, tt.base)
				}
			}
		})
	}
}

// TestBaseStops promises that the look ends at the first sign: the rest of the
// layer is broken here, and nobody notices.
func TestBaseStops(t *testing.T) {
	t.Parallel()
	whole := makeTar(t, file{name: "bin/sh", body: "sh"}, file{name: "bin/", kind: tar.TypeDir}, file{name: "usr/big", body: strings.Repeat("b", 8<<20)})
	path := write(t, "layer.tar", whole[:6<<20])
	im := mustOpen(t, "file:"+path, source.Options{})
	if base, err := im.Base(t.Context()); err != nil || !base {
		t.Errorf("got %v, %v", base, err)
	}
	if _, err := lines(t.Context(), im.Layers[0]); err == nil {
		t.Error("half a layer is walked without an error")
	}
}

// TestEmpty promises a helpful error where the last layer, as often, is one
// that WORKDIR made.
func TestEmpty(t *testing.T) {
	t.Parallel()
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/x"}), makeTar(t))
	im := mustOpen(t, "layout:"+layoutDir(t, image), source.Options{})
	layers, err := im.Select(source.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lines(t.Context(), layers[0]); err != nil {
		t.Fatal(err)
	}
	err = im.Empty(layers)
	wantError(t, err, `layer 2 of 2 (`, "--layers all")
	wantError(t, err, `, made by "COPY 1", holds no files`, "--layers all")
	if _, err := lines(t.Context(), im.Layers[0]); err != nil {
		t.Fatal(err)
	}
	if err := im.Empty(im.Layers); err != nil {
		t.Errorf("got %v, though one layer has a file", err)
	}
	if hints := hint.Of(err); len(hints) != 1 {
		t.Errorf("hints %q", hints)
	}
}

// TestStop promises that an error of the callback ends a walk with that error,
// and that no goroutine stays behind.
func TestStop(t *testing.T) {
	before := runtime.NumGoroutine()
	stop := errors.New("stop")
	for _, pack := range []func(testing.TB, []byte) []byte{asIs, gzipBytes, zstdBytes} {
		big := makeTar(t, file{name: "usr/a", body: strings.Repeat("a", 8<<20)}, file{name: "usr/b", body: strings.Repeat("b", 8<<20)})
		im := mustOpen(t, "file:"+write(t, "l", pack(t, big)), source.Options{})
		for range 20 {
			err := im.Layers[0].Walk(t.Context(), func(*tree.Entry, io.Reader) error { return stop })
			if !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
		}
	}
	if after := runtime.NumGoroutine(); after > before+2 {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// TestNames promises the names of a layer that was not chosen.
func TestNames(t *testing.T) {
	t.Parallel()
	tars := twoLayers(t)
	im := mustOpen(t, "layout:"+layoutDir(t, testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1])), source.Options{})
	var names []string
	if err := im.Layers[0].Names(t.Context(), func(e *tree.Entry) error {
		names = append(names, e.Name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(names, " "); got != "usr usr/lib usr/lib/os-release usr/bin/old" {
		t.Errorf("got %q", got)
	}
}
