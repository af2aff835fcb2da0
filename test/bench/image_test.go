//go:build bench

package bench_test

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"inlay/test/debian"
)

// The container image of a payload has it as the last of two layers, above one
// that no contender packs: what a daemon and a builder must get past.

// saved is the image as Docker since version 25 saves it, its layers plain.
func (p payload) saved() string { return filepath.Join(p.folder, "saved.tar") }

// layout is the image as an OCI layout, its layers with gzip.
func (p payload) layout() string { return filepath.Join(p.folder, "layout") }

// inspected is what a daemon tells of the image.
func (p payload) inspected() string { return filepath.Join(p.folder, "inspected.json") }

// baseBytes is the size of the lower layer.
const baseBytes = 221e6

// newBase returns the lower layer, plain and with gzip: Go itself, on what looks
// like a distribution from its first files on, as base images do. Without that,
// inlay searches the layer for files that may be missing in the one above.
func newBase(t *testing.T) payload {
	t.Helper()
	files, err := below(goRoot(t), "usr/local/go", 1<<20, baseBytes, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	files = append([]file{{From: "/etc/os-release", To: "etc/os-release", Mode: 0o644, Size: info.Size()}}, files...)
	const revision = 3 // of how it is made
	return payload{folder: debian.Cached(t, "bench-base", []any{revision, files}, func(folder string) error {
		p := payload{folder: folder}
		return errors.Join(p.writeTar(files), p.compress())
	})}
}

type (
	descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	config struct {
		Architecture string    `json:"architecture"`
		OS           string    `json:"os"`
		Created      time.Time `json:"created"`
		RootFS       rootFS    `json:"rootfs"`
	}
)

// writeImages makes both forms of the image of p above base.
func (p payload) writeImages(base payload) error {
	c := config{Architecture: "amd64", OS: "linux", Created: time.Unix(1_700_000_000, 0).UTC(), RootFS: rootFS{Type: "layers"}}
	var plain, packed []descriptor
	for _, l := range []payload{base, p} {
		for _, form := range []struct {
			file, kind string
			to         *[]descriptor
		}{{l.tar(), "tar", &plain}, {l.gzip(), "tar+gzip", &packed}} {
			size, sum, err := weigh(form.file)
			if err != nil {
				return err
			}
			*form.to = append(*form.to, descriptor{"application/vnd.oci.image.layer.v1." + form.kind, "sha256:" + sum, size})
		}
	}
	for _, l := range plain {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.Digest)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	id := describe("application/vnd.oci.image.config.v1+json", text)
	about, err := json.Marshal(map[string]any{
		"Id": id.Digest, "Os": c.OS, "Architecture": c.Architecture, "Created": c.Created,
		"RootFS": map[string]any{"Type": "layers", "Layers": c.RootFS.DiffIDs},
	})
	return errors.Join(err, os.WriteFile(p.inspected(), about, 0o644),
		p.writeSaved(base, plain, id, text), p.writeLayout(base, packed, id, text))
}

func describe(kind string, text []byte) descriptor {
	sum := sha256.Sum256(text)
	return descriptor{kind, "sha256:" + hex.EncodeToString(sum[:]), int64(len(text))}
}

func blobName(d descriptor) string {
	return "blobs/sha256/" + strings.TrimPrefix(d.Digest, "sha256:")
}

func (p payload) writeSaved(base payload, layers []descriptor, id descriptor, text []byte) error {
	out, err := os.Create(p.saved())
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	add := func(name string, size int64, r io.Reader) error {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(1_700_000_000, 0)})
		if err != nil {
			return err
		}
		_, err = io.Copy(w, r)
		return err
	}
	// The layer that is asked for comes last, which flatters nobody.
	for i, l := range []payload{base, p} {
		in, err := os.Open(l.tar())
		if err != nil {
			return err
		}
		err = add(blobName(layers[i]), layers[i].Size, in)
		in.Close()
		if err != nil {
			return err
		}
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": blobName(id), "RepoTags": []string{extensionName + ":latest"},
		"Layers": []string{blobName(layers[0]), blobName(layers[1])},
	}})
	return errors.Join(err,
		add(blobName(id), id.Size, strings.NewReader(string(text))),
		add("manifest.json", int64(len(manifest)), strings.NewReader(string(manifest))),
		w.Close(), out.Close())
}

func (p payload) writeLayout(base payload, layers []descriptor, id descriptor, text []byte) error {
	blobs := filepath.Join(p.layout(), "blobs/sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": id, "layers": layers,
	})
	if err != nil {
		return err
	}
	m := describe("application/vnd.oci.image.manifest.v1+json", manifest)
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{m}})
	write := func(name string, b []byte) error { return os.WriteFile(filepath.Join(p.layout(), name), b, 0o644) }
	return errors.Join(err,
		os.Link(base.gzip(), filepath.Join(p.layout(), blobName(layers[0]))),
		os.Link(p.gzip(), filepath.Join(p.layout(), blobName(layers[1]))),
		write(blobName(id), text), write(blobName(m), manifest),
		write("index.json", index), write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)))
}

// serve stands in for a Docker daemon that has the image ready: what a real one
// does before it sends the first byte takes longer than any contender.
func (p payload) serve(t *testing.T, socket string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, word := filepath.Split(r.URL.Path)
			name, known := map[string]string{"json": p.inspected(), "get": p.saved()}[word]
			f, err := os.Open(name)
			if !known || err != nil {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			defer f.Close()
			io.Copy(struct{ io.Writer }{w}, f)
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := cmp.Or(server.Close(), <-ended); err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}
