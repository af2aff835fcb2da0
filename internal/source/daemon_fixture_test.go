package source_test

import (
	"archive/tar"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"inlay/internal/source"
)

// saver makes the archive that a daemon of some version sends for an image.
type saver func(t *testing.T, im v1.Image) []byte

// fakeDaemon answers what source asks a daemon, for one image.
type fakeDaemon struct {
	name    string
	id      string
	config  *v1.ConfigFile
	archive []byte
	exports atomic.Int32 // how often the archive was sent
}

func (d *fakeDaemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, isGet := strings.CutSuffix(r.URL.Path, "/get")
	name, isInspect := strings.CutSuffix(name, "/json")
	name = strings.TrimPrefix(name, "/images/")
	switch known := name == d.name || name == "sha256:"+d.id; {
	case !known:
		w.WriteHeader(http.StatusNotFound)
	case isInspect:
		json.NewEncoder(w).Encode(map[string]any{
			"Id": d.id, "Os": d.config.OS, "Architecture": d.config.Architecture, "Created": d.config.Created,
			"RootFS": map[string]any{"Type": "layers", "Layers": d.config.RootFS.DiffIDs},
		})
	case isGet:
		d.exports.Add(1)
		w.Write(d.archive)
	default:
		w.WriteHeader(http.StatusTeapot)
	}
}

func newDaemon(t *testing.T, im v1.Image, save saver) *fakeDaemon {
	t.Helper()
	return &fakeDaemon{
		name: "some/image:1", id: must(im.ConfigName())(t).Hex, config: must(im.ConfigFile())(t), archive: save(t, im),
	}
}

func startDaemon(t *testing.T, im v1.Image, save saver) (*fakeDaemon, string) {
	t.Helper()
	d := newDaemon(t, im, save)
	s := httptest.NewServer(d)
	t.Cleanup(s.Close)
	return d, strings.Replace(s.URL, "http://", "tcp://", 1)
}

// serveDaemon starts a daemon that knows an image by name.
func serveDaemon(t *testing.T, name string, im v1.Image) string {
	t.Helper()
	d, host := startDaemon(t, im, savedByDocker25)
	d.name = name
	return host
}

func inDaemon(save saver) form {
	return func(t *testing.T, im v1.Image) (string, source.Options) {
		t.Helper()
		_, host := startDaemon(t, im, save)
		return "docker:some/image:1", source.Options{DockerHost: host}
	}
}

// must turns a value and an error into a value or the test's end.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// uncompressed returns the layers' tars and diff ids.
func uncompressed(t *testing.T, im v1.Image) (tars []string, ids []string) {
	t.Helper()
	for _, l := range must(im.Layers())(t) {
		stored := must(l.Compressed())(t)
		tars = append(tars, inflated(t, stored))
		ids = append(ids, must(l.DiffID())(t).Hex)
	}
	return tars, ids
}

// savedByDocker20 names layers after ids that only the manifest, at the end, explains.
func savedByDocker20(t *testing.T, im v1.Image) []byte {
	t.Helper()
	tars, _ := uncompressed(t, im)
	var files []file
	var layers []string
	for i, body := range tars {
		id := strings.Repeat(strconv.Itoa(7-i), 64)
		files = append(files,
			file{name: id + "/", kind: tar.TypeDir}, file{name: id + "/VERSION", body: "1.0"},
			file{name: id + "/json", body: "{}"}, file{name: id + "/layer.tar", body: body})
		layers = append(layers, id+"/layer.tar")
	}
	slices.Reverse(files[:4]) // the order of members means nothing
	return savedArchive(t, im, files, must(im.ConfigName())(t).Hex+".json", layers)
}

func savedByDocker25(t *testing.T, im v1.Image) []byte {
	t.Helper()
	tars, ids := uncompressed(t, im)
	return savedBlobs(t, im, tars, ids)
}

// savedByContainerd names layers after what it stores, which is compressed.
func savedByContainerd(t *testing.T, im v1.Image) []byte {
	t.Helper()
	var tars, ids []string
	for _, l := range must(im.Layers())(t) {
		tars = append(tars, readAll(t, must(l.Compressed())(t)))
		ids = append(ids, must(l.Digest())(t).Hex)
	}
	return savedBlobs(t, im, tars, ids)
}

func savedBlobs(t *testing.T, im v1.Image, bodies, ids []string) []byte {
	t.Helper()
	files := []file{{name: "blobs/", kind: tar.TypeDir}, {name: "blobs/sha256/", kind: tar.TypeDir}}
	var layers []string
	for i, body := range bodies {
		if !slices.Contains(ids[:i], ids[i]) { // equal layers are stored once
			files = append(files, file{name: "blobs/sha256/" + ids[i], body: body})
		}
		layers = append(layers, "blobs/sha256/"+ids[i])
	}
	return savedArchive(t, im, files, "blobs/sha256/"+must(im.ConfigName())(t).Hex, layers)
}

func savedByPodman(t *testing.T, im v1.Image) []byte {
	t.Helper()
	tars, ids := uncompressed(t, im)
	var files []file
	var layers []string
	for i, body := range tars {
		if !slices.Contains(ids[:i], ids[i]) {
			files = append(files, file{name: ids[i] + ".tar", body: body})
		}
		layers = append(layers, ids[i]+".tar")
	}
	for i, id := range ids {
		old := strings.Repeat(strconv.Itoa(i), 64)
		files = append(files, file{name: old + "/layer.tar", kind: tar.TypeSymlink, link: "../" + id + ".tar"})
	}
	return savedArchive(t, im, files, must(im.ConfigName())(t).Hex+".json", layers)
}

func savedArchive(t *testing.T, im v1.Image, files []file, config string, layers []string) []byte {
	t.Helper()
	manifest, err := json.Marshal([]map[string]any{{"Config": config, "RepoTags": []string{"some/image:1"}, "Layers": layers}})
	if err != nil {
		t.Fatal(err)
	}
	files = append(files,
		file{name: config, body: string(must(im.RawConfigFile())(t))},
		file{name: "manifest.json", body: string(manifest)},
		file{name: "repositories", body: "{}"})
	return makeTar(t, files...)
}
