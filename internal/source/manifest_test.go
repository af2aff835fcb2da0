package source_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// namedImage adds an image to the layout dir under a name.
func namedImage(t testing.TB, dir, name string) source.Digest {
	t.Helper()
	p, err := layout.FromPath(dir)
	if err != nil {
		if p, err = layout.Write(dir, emptyIndex()); err != nil {
			t.Fatal(err)
		}
	}
	im := testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/" + name}))
	if err := p.AppendImage(im, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name})); err != nil {
		t.Fatal(err)
	}
	return source.Digest(must(im.Digest())(t).String())
}

// serveManifest is a registry that answers every manifest request with body.
func serveManifest(t testing.TB, body, mediaType string) string {
	t.Helper()
	return serveRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.Header().Set("Content-Type", mediaType)
				w.Write([]byte(body))
				return
			}
			next.ServeHTTP(w, r)
		})
	})
}

// TestHostileManifests promises one clear line for manifests that are broken,
// oversized, of the wrong kind, or readable in two ways.
func TestHostileManifests(t *testing.T) {
	t.Parallel()
	const oci = "application/vnd.oci.image.manifest.v1+json"
	const index = "application/vnd.oci.image.index.v1+json"
	const configType = "application/vnd.oci.image.config.v1+json"
	d := func(mediaType string, size int64) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, someDigest, size)
	}
	config := d(configType, 10)
	layers := strings.TrimSuffix(strings.Repeat(d("application/vnd.oci.image.layer.v1.tar", 1)+",", 2000), ",")
	tests := map[string]struct{ body, mediaType, err, hint string }{
		"not JSON":        {"<html>", oci, "not valid JSON", ""},
		"trailing":        {`{"schemaVersion":2} {}`, oci, "not valid JSON", ""},
		"schema 1":        {`{"schemaVersion":1,"fsLayers":[]}`, "application/vnd.docker.distribution.manifest.v1+json", "outdated schema version 1", "push the image again"},
		"schema 3":        {`{"schemaVersion":3}`, oci, "schema version 3", ""},
		"neither":         {`{"schemaVersion":2}`, oci, "neither an image nor an index", ""},
		"both":            {`{"schemaVersion":2,"config":` + config + `,"layers":[],"manifests":[]}`, oci, "both an image and an index", ""},
		"index as image":  {`{"schemaVersion":2,"mediaType":"` + index + `","config":` + config + `,"layers":[]}`, oci, "announced as", ""},
		"huge":            {`{"schemaVersion":2` + strings.Repeat(" ", 5<<20) + `}`, oci, "more than", ""},
		"many layers":     {`{"schemaVersion":2,"config":` + config + `,"layers":[` + layers + `]}`, oci, "2000 layers, more than 1024", ""},
		"many images":     {`{"schemaVersion":2,"manifests":[` + layers + `]}`, index, "2000 images, more than 1024", ""},
		"no layers":       {`{"schemaVersion":2,"config":` + config + `,"layers":[]}`, oci, "has no layers", "COPY"},
		"artifact":        {`{"schemaVersion":2,"config":` + d("application/vnd.oci.empty.v1+json", 2) + `,"layers":[]}`, oci, "an artifact of type", "container image"},
		"huge config":     {`{"schemaVersion":2,"config":` + d(configType, 1<<40) + `,"layers":[]}`, oci, "configuration has 1099511627776 bytes", ""},
		"negative size":   {`{"schemaVersion":2,"config":` + d(configType, -1) + `,"layers":[]}`, oci, "has the size -1", ""},
		"bad digest":      {`{"schemaVersion":2,"config":{"mediaType":"` + configType + `","digest":"../../etc/passwd"},"layers":[]}`, oci, "not of the form", ""},
		"escape in index": {`{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x"}]}`, index, "64 lower-case hex digits", ""},
		"control text":    {`{"schemaVersion":2,"manifests":[{"digest":"` + someDigest + `","platform":{"os":"\u001b[2J","architecture":"x"}}]}`, index, "the index holds  [2J/x", "--arch"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, "oci:"+serveManifest(t, tt.body, tt.mediaType)+"/x:1", source.Options{Architecture: "amd64"})
			if name == "control text" {
				tt.err = "the index holds [2J/x"
			}
			wantError(t, err, tt.err, tt.hint)
			if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("the error %q reaches for the terminal", err)
			}
		})
	}
	t.Run("other digest", func(t *testing.T) {
		t.Parallel()
		host := serveManifest(t, `{"schemaVersion":2}`, oci)
		_, err := open(t, "oci:"+host+"/x@"+someDigest, source.Options{})
		wantError(t, err, "the manifest has the digest", "")
	})
}

// TestIndexCircle promises an end for indexes that contain one another. No
// digest can make a circle, but a chain can be as long as its maker likes.
func TestIndexCircle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	namedImage(t, dir, "x")
	next := source.Digest(someDigest)
	for range 10 {
		b := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":%q}]}`, next)
		next = digest(b)
		if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", next.Hex()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := open(t, "layout:"+dir+"@"+string(next), source.Options{})
	wantError(t, err, "inside one another without end", "")
}

// TestLayerTypes promises that layers which cannot be read are refused by name
// when they are wanted, and do not stand in the way of others.
func TestLayerTypes(t *testing.T) {
	t.Parallel()
	for mediaType, want := range map[types.MediaType]string{
		types.DockerForeignLayer:                                "says that the image does not carry it",
		types.OCIRestrictedLayer:                                "says that the image does not carry it",
		"application/vnd.example+thing":                         `"application/vnd.example+thing" is not one of a file-system layer`,
		"application/vnd.oci.image.layer.v1.tar+gzip+encrypted": "is not one of a file-system layer",
	} {
		t.Run(string(mediaType), func(t *testing.T) {
			t.Parallel()
			tars := twoLayers(t)
			im := testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1])
			dir := layoutDir(t, im)
			rewriteManifest(t, dir, must(im.Digest())(t).Hex, func(m map[string]any) {
				firstLayer(t, m)["mediaType"] = mediaType
			})
			opened := mustOpen(t, "layout:"+dir, source.Options{})
			if _, err := opened.Select(source.Selection{}); err != nil {
				t.Fatal(err)
			}
			if _, err := lines(t.Context(), opened.Layers[1]); err != nil {
				t.Fatal(err)
			}
			all, err := source.ParseLayers("all")
			if err != nil {
				t.Fatal(err)
			}
			_, err = opened.Select(all)
			wantError(t, err, want, "layer")
			_, err = lines(t.Context(), opened.Layers[0])
			wantError(t, err, want, "layer")
		})
	}
}

// TestWrongDescriptors promises that a configuration is what the manifest says
// and that a layer is as long, even if its digest is right.
func TestWrongDescriptors(t *testing.T) {
	t.Parallel()
	layer := makeTar(t, file{name: "usr/x"})
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, layer)
	t.Run("configuration", func(t *testing.T) {
		t.Parallel()
		dir := layoutDir(t, image)
		config := filepath.Join(dir, "blobs", "sha256", must(image.ConfigName())(t).Hex)
		b := must(os.ReadFile(config))(t)
		b = []byte(strings.Replace(string(b), "amd64", "arm64", 1))
		if err := os.Chmod(config, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, "layout:"+dir, source.Options{})
		wantError(t, err, "the image's configuration has the digest", "")
	})
	for name, by := range map[string]float64{"too long": 1, "too short": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := layoutDir(t, image)
			rewriteManifest(t, dir, must(image.Digest())(t).Hex, func(m map[string]any) {
				first := firstLayer(t, m)
				size, ok := first["size"].(float64)
				if !ok {
					t.Fatal("no size")
				}
				first["size"] = size + by
			})
			im := mustOpen(t, "layout:"+dir, source.Options{})
			if _, err := lines(t.Context(), im.Layers[0]); err == nil || !strings.Contains(err.Error(), "bytes") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func firstLayer(t testing.TB, m map[string]any) map[string]any {
	t.Helper()
	layers, ok := m["layers"].([]any)
	if !ok {
		t.Fatal("no layers")
	}
	first, ok := layers[0].(map[string]any)
	if !ok {
		t.Fatal("no layer")
	}
	return first
}

// rewriteManifest changes the only manifest of a layout and what points to it.
func rewriteManifest(t testing.TB, dir, old string, change func(map[string]any)) {
	t.Helper()
	blobs := filepath.Join(dir, "blobs", "sha256")
	b, err := os.ReadFile(filepath.Join(blobs, old))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if b, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(blobs, digest(b).Hex()), b, 0o600); err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	index = []byte(strings.ReplaceAll(string(index), old, digest(b).Hex()))
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o600); err != nil {
		t.Fatal(err)
	}
}
