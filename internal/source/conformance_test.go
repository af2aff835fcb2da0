package source_test

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// A form is one way to keep an image: it returns the reference to it and what
// it takes to open it.
type form func(t *testing.T, im v1.Image) (string, source.Options)

func forms() map[string]form {
	return map[string]form{
		"layout":              inLayout,
		"docker-archive":      inDockerArchive,
		"oci-archive":         inOCIArchive,
		"oci-archive gzip":    compressed(inOCIArchive, gzipBytes),
		"docker-archive zstd": compressed(inDockerArchive, zstdBytes),
		"registry":            inRegistry,
		"docker 20":           inDaemon(savedByDocker20),
		"docker 25":           inDaemon(savedByDocker25),
		"docker containerd":   inDaemon(savedByContainerd),
		"podman":              inDaemon(savedByPodman),
		"any daemon":          bare(inDaemon(savedByDocker25)),
		"any registry":        bare(inRegistry),
	}
}

// bare takes the scheme off a reference.
func bare(in form) form {
	return func(t *testing.T, im v1.Image) (string, source.Options) {
		t.Helper()
		ref, o := in(t, im)
		_, ref, _ = strings.Cut(ref, ":")
		if o.DockerHost == "" {
			o.DockerHost = "unix:///nonexistent/docker.sock"
		}
		return ref, o
	}
}

func compressed(in form, pack func(testing.TB, []byte) []byte) form {
	return func(t *testing.T, im v1.Image) (string, source.Options) {
		t.Helper()
		ref, o := in(t, im)
		r, err := source.Parse(ref)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(r.Path)
		if err != nil {
			t.Fatal(err)
		}
		return "file:" + write(t, "packed", pack(t, b)), o
	}
}

func inLayout(t *testing.T, im v1.Image) (string, source.Options) {
	t.Helper()
	return "layout:" + layoutDir(t, im), source.Options{}
}

func layoutDir(t testing.TB, im v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	p, err := layout.Write(dir, emptyIndex())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(im); err != nil {
		t.Fatal(err)
	}
	return dir
}

func inDockerArchive(t *testing.T, im v1.Image) (string, source.Options) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	tag, err := name.NewTag("example.test/image:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(path, tag, im); err != nil {
		t.Fatal(err)
	}
	return "file:" + path, source.Options{}
}

func inOCIArchive(t *testing.T, im v1.Image) (string, source.Options) {
	t.Helper()
	return "file://" + write(t, "oci.tar", tarFolder(t, layoutDir(t, im))), source.Options{}
}

func tarFolder(t testing.TB, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func inRegistry(t *testing.T, im v1.Image) (string, source.Options) {
	t.Helper()
	host := serveRegistry(t, nil)
	push(t, host+"/some/image:1", im)
	return "oci:" + host + "/some/image:1", source.Options{}
}

// TestConformance promises that the same content gives the same entries,
// however the image is kept and its layers are stored.
func TestConformance(t *testing.T) {
	t.Parallel()
	tars := twoLayers(t)
	want := [2][]string{wantLines(t, tars[0]), wantLines(t, tars[1])}
	images := map[string]v1.Image{
		"plain": testImage(t, "amd64", types.OCIUncompressedLayer, asIs, tars[0], tars[1]),
		"gzip":  testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1]),
		"zstd":  testImage(t, "amd64", types.OCILayerZStd, zstdBytes, tars[0], tars[1]),
	}
	for formName, in := range forms() {
		for packing, image := range images {
			t.Run(formName+" "+packing, func(t *testing.T) {
				t.Parallel()
				spool := t.TempDir()
				var done, total int64
				ref, o := in(t, image)
				o.Architecture, o.SpoolDir = "amd64", spool
				o.Progress = func(d, n int64) { done, total = d, n }
				im := mustOpen(t, ref, o)
				if im.OS != "linux" || im.Architecture != "amd64" || im.Created.Unix() != 1700000001 || im.Digest == "" {
					t.Errorf("got os %q, architecture %q, created %v, digest %q", im.OS, im.Architecture, im.Created, im.Digest)
				}
				if len(im.Layers) != 2 {
					t.Fatalf("got %d layers, want 2", len(im.Layers))
				}
				layers, err := im.Select(source.Selection{})
				if err != nil {
					t.Fatal(err)
				}
				if len(layers) != 1 || layers[0] != im.Layers[1] {
					t.Fatalf("the last layer is %v", layers)
				}
				for round := range 2 { // layers can be walked again
					for i, l := range im.Layers {
						got, err := lines(t.Context(), l)
						if err != nil {
							t.Fatalf("round %d: %v", round, err)
						}
						if diff := cmp.Diff(want[i], got); diff != "" {
							t.Errorf("layer %d (-want +got):\n%s", i+1, diff)
						}
						if l.DiffID != digest(tars[i]) {
							t.Errorf("diff id %s, want %s", l.DiffID, digest(tars[i]))
						}
					}
				}
				// A daemon's answer says it only where the archive is spooled.
				if got := im.Layers[1].CreatedBy; got != "COPY 1" && !(got == "" && o.DockerHost != "") {
					t.Errorf("created by %q", im.Layers[1].CreatedBy)
				}
				if done == 0 || total < done {
					t.Errorf("progress ended at %d of %d", done, total)
				}
				if base, err := im.Base(t.Context()); err != nil || !base {
					t.Errorf("base: %v, %v", base, err)
				}
				if left, err := fs.Glob(os.DirFS(spool), "*"); err != nil || len(left) != 0 {
					t.Errorf("the spool folder holds %v, %v", left, err)
				}
			})
		}
	}
}
