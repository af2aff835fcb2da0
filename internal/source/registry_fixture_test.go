package source_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"inlay/internal/source"
)

// serveRegistry starts an empty registry and returns its host and port. Each
// request may first go through wrap.
func serveRegistry(t testing.TB, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func push(t testing.TB, ref string, im v1.Image) {
	t.Helper()
	if err := remote.Write(parseName(t, ref), im); err != nil {
		t.Fatal(err)
	}
}

func pushIndex(t testing.TB, ref string, ii v1.ImageIndex) {
	t.Helper()
	if err := remote.WriteIndex(parseName(t, ref), ii); err != nil {
		t.Fatal(err)
	}
}

func parseName(t testing.TB, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readBlob(t testing.TB, b *source.Blob) (string, error) {
	t.Helper()
	rc, err := b.Open(t.Context())
	if err != nil {
		return "", err
	}
	defer rc.Close()
	content, err := io.ReadAll(rc)
	return string(content), err
}
