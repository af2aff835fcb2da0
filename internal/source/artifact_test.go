package source_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// TestArtifact promises that whatever a registry stores is shown as it is, that
// only an image passes for one, and that blobs are held against their digests.
func TestArtifact(t *testing.T) {
	t.Parallel()
	layer := makeTar(t, file{name: "usr/x"})
	im := testImage(t, "amd64", types.OCIUncompressedLayer, asIs, layer)
	b := &blobServer{blob: layer, path: "/blobs/" + string(digest(layer)), answers: []answer{
		right, right, part("", etag, flipped), part("", etag, func(b *blobServer) []byte { return b.blob[1:] }),
	}}
	host := serveRegistry(t, b.wrap)
	push(t, host+"/team/image:1", im)
	push(t, host+"/team/other:1", mutate.ConfigMediaType(im, "application/vnd.acme.thing"))
	open := func(ref string) (*source.Artifact, error) {
		r, err := source.Parse(ref)
		if err != nil {
			t.Fatal(err)
		}
		return source.OpenArtifact(t.Context(), r, source.Options{Architecture: "amd64"})
	}
	for ref, isImage := range map[string]bool{"/team/image:1": true, "/team/other:1": false} {
		a, err := open("oci:" + host + ref)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if a.IsImage != isImage || (a.Type == "application/vnd.acme.thing") == isImage || len(a.Blobs) != 1 || !strings.HasSuffix(ref, a.Name[4:]+":1") {
			t.Errorf("%s: %+v", ref, a)
		}
		got, err := a.Image(t.Context())
		if isImage && (err != nil || got.Digest != a.Digest || len(got.Layers) != 1) {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
		if !isImage {
			wantError(t, err, "not a container image", "name a container image")
		}
	}
	a, err := open("oci:" + host + "/team/image:1")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, want := range []string{"", "", "the file has the digest", "bytes"} {
		got, err := readBlob(t, a.Blobs[0])
		if want == "" && (err != nil || got != string(layer)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d bytes, %v, want %q", len(got), err, want)
		}
	}
	_, err = open("oci:" + host + "/team/gone:1")
	if wantError(t, err, "does not have it", "the tag"); !errors.Is(err, source.ErrNotFound) {
		t.Errorf("%v is not ErrNotFound", err)
	}
	denying := serveRegistry(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	})
	if _, err := open("oci:" + denying + "/x:1"); err == nil || errors.Is(err, source.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := open("dir:/"); err == nil {
		t.Error("a folder is no artifact")
	}
}
