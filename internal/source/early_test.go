package source_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
	"inlay/internal/tree"
)

// withholding lets the first bytes of a large answer pass, and the rest when
// going is done.
type withholding struct {
	http.ResponseWriter
	going context.Context // of the one test
	t     *testing.T
	left  int
}

func (w *withholding) Write(b []byte) (int, error) {
	now := min(w.left, len(b))
	w.left -= now
	n, err := w.ResponseWriter.Write(b[:now])
	if err != nil || now == len(b) {
		return n, err
	}
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	select {
	case <-w.going.Done():
	case <-time.After(20 * time.Second):
		w.t.Error("the walk waits for the whole blob")
		return n, io.ErrClosedPipe
	}
	m, err := w.ResponseWriter.Write(b[now:])
	return n + m, err
}

// TestWalkBeginsEarly promises that a layer is walked while its blob is still
// coming: the registry sends the rest only after the first file was read.
func TestWalkBeginsEarly(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // content that nothing compresses
	body := make([]byte, 6<<20)
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	layer := makeTar(t, file{name: "usr/first", body: string(body[:1000])}, file{name: "usr/large", body: string(body)})
	for name, c := range map[string]struct {
		media types.MediaType
		pack  func(testing.TB, []byte) []byte
	}{
		"plain": {types.OCIUncompressedLayer, asIs}, "gzip": {types.OCILayer, gzipBytes}, "zstd": {types.OCILayerZStd, zstdBytes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			going, begin := context.WithCancel(t.Context())
			defer begin()
			host := serveRegistry(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
						w = &withholding{ResponseWriter: w, going: going, t: t, left: 2 << 20}
					}
					h.ServeHTTP(w, r)
				})
			})
			push(t, host+"/slow:1", testImage(t, "amd64", c.media, c.pack, layer))
			im := mustOpen(t, "oci:"+host+"/slow:1", source.Options{Architecture: "amd64"})
			var read int64
			err := im.Layers[0].Walk(t.Context(), func(_ *tree.Entry, r io.Reader) error {
				n, err := io.Copy(io.Discard, r)
				read += n
				begin()
				return err
			})
			if err != nil || read != 1000+int64(len(body)) {
				t.Errorf("%d bytes were read: %v", read, err)
			}
		})
	}
}
