package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// answer is how the server behaves for one request of the blob.
type answer func(b *blobServer, w http.ResponseWriter, r *http.Request)

// blobServer gives its own answers for one blob, one after the other; the last
// one is repeated.
type blobServer struct {
	blob    []byte
	path    string
	answers []answer

	mu     sync.Mutex
	ranges []string
}

func (b *blobServer) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, b.path) {
			next.ServeHTTP(w, r)
			return
		}
		b.mu.Lock()
		n := min(len(b.ranges), len(b.answers)-1)
		b.ranges = append(b.ranges, r.Header.Get("Range"))
		b.mu.Unlock()
		b.answers[n](b, w, r)
	})
}

const etag = `"one"`

// right answers as a good server does.
func right(b *blobServer, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.blob))
}

// cut sends n bytes of the right answer and breaks the connection.
func cut(n int) answer {
	return func(b *blobServer, w http.ResponseWriter, r *http.Request) {
		right(b, &cutWriter{w, n}, r)
		panic(http.ErrAbortHandler)
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errors.New("cut")
	}
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	c.left -= n
	if err != nil {
		return n, err
	}
	return n, http.NewResponseController(c.ResponseWriter).Flush()
}

// stall sends n bytes and then nothing.
func stall(n int) answer {
	return func(b *blobServer, w http.ResponseWriter, r *http.Request) {
		right(b, &cutWriter{w, n}, r)
		<-r.Context().Done()
	}
}

// whole ignores ranges.
func whole(b *blobServer, w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Range")
	right(b, w, r)
}

// part sends the rest of content from byte from under the given Content-Range.
func part(contentRange, tag string, content func(b *blobServer) []byte) answer {
	return func(b *blobServer, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			w.Header().Set("ETag", tag)
			w.Write(content(b))
			return
		}
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(http.StatusPartialContent)
		w.Write(content(b))
	}
}

func status(code int) answer {
	return func(_ *blobServer, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func same(b *blobServer) []byte { return b.blob }

func flipped(b *blobServer) []byte {
	other := slices.Clone(b.blob)
	other[len(other)/2] ^= 1
	return other
}

// TestDownload promises that a blob arrives whole over a bad connection, and
// that nothing wrong ever does.
func TestDownload(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 3<<20)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // content that looks like any
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	layer := makeTar(t, file{name: "usr/noise", body: string(noise)})
	want := wantLines(t, layer)
	const first = 1<<20 + 12345 // the first connection's luck
	resumed := fmt.Sprintf("bytes=%d-", first)
	size := strconv.Itoa(len(layer))
	span := func(from int, total string) string { return fmt.Sprintf("bytes %d-%d/%s", from, len(layer)-1, total) }
	tests := map[string]struct {
		answers []answer
		ranges  []string // as asked for; nil is not checked
		err     string   // in the error; "" is success
	}{
		"no trouble":         {answers: []answer{right}, ranges: []string{""}},
		"cut once":           {answers: []answer{cut(first), right}, ranges: []string{"", resumed}},
		"cut twice":          {answers: []answer{cut(first), cut(7), right}, ranges: []string{"", resumed, fmt.Sprintf("bytes=%d-", first+7)}},
		"cut at once":        {answers: []answer{cut(0), right}, ranges: []string{"", ""}},
		"200 instead of 206": {answers: []answer{cut(first), whole}, ranges: []string{"", resumed}},
		"200, cut again":     {answers: []answer{cut(first), func(b *blobServer, w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); cut(100)(b, w, r) }, whole}},
		"wrong start":        {answers: []answer{cut(first), part(span(0, size), etag, same), right}, ranges: []string{"", resumed, ""}},
		"other total":        {answers: []answer{cut(first), part(span(first, "99999999"), etag, same), right}, ranges: []string{"", resumed, ""}},
		"no Content-Range":   {answers: []answer{cut(first), part("", etag, same), right}, ranges: []string{"", resumed, ""}},
		"mad Content-Range":  {answers: []answer{cut(first), part("bytes 5-3/"+size, etag, same), right}, ranges: []string{"", resumed, ""}},
		"other ETag":         {answers: []answer{cut(first), part(span(first, size), `"two"`, same), whole}, ranges: []string{"", resumed, ""}},
		"other content":      {answers: []answer{cut(first), part("", `"two"`, flipped)}, err: "has the digest"},
		"part unasked":       {answers: []answer{part("", etag, same), right}},
		"stall":              {answers: []answer{stall(first), right}, ranges: []string{"", resumed}},
		"always stalls":      {answers: []answer{stall(first), stall(0)}, err: "no byte came"},
		"503 on resuming":    {answers: []answer{cut(first), status(503), right}, ranges: []string{"", resumed, resumed}},
		"gone on resuming":   {answers: []answer{cut(first), status(404)}, ranges: []string{"", resumed}, err: "does not have it"},
		"denied":             {answers: []answer{status(403)}, err: "denies access"},
		"never better":       {answers: []answer{cut(first), cut(0)}, err: "gave up after 3 tries, at byte " + strconv.Itoa(first)},
		"trickle":            {answers: []answer{cut(1)}, err: "gave up after 3 tries"},
		"says shorter": {answers: []answer{func(b *blobServer, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(b.blob)-1))
			w.Write(b.blob[:len(b.blob)-1])
		}}, err: "the server sends " + strconv.Itoa(len(layer)-1) + " bytes"},
		"longer": {answers: []answer{func(b *blobServer, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Transfer-Encoding", "chunked")
			w.Write(slices.Concat(b.blob, b.blob))
		}}, err: "more than the stated"},
		"cut behind its end": {answers: []answer{func(b *blobServer, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush() // so that the size is not announced
			w.Write(b.blob)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, right}, ranges: []string{""}},
		"flipped bit": {answers: []answer{part("", etag, flipped)}, err: "has the digest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &blobServer{blob: layer, path: "/blobs/" + string(digest(layer)), answers: tt.answers}
			host := serveRegistry(t, b.wrap)
			push(t, host+"/r:1", testImage(t, "amd64", types.OCIUncompressedLayer, asIs, layer))
			im := mustOpen(t, "oci:"+host+"/r:1", source.Options{}.Impatient(300*time.Millisecond, 3))
			got, err := lines(t.Context(), im.Layers[0])
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got error %v, want %q in it", err, tt.err)
			}
			if tt.ranges != nil {
				if diff := cmp.Diff(tt.ranges, b.ranges); diff != "" {
					t.Errorf("ranges (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestDownloadCancel promises that a cancelled walk ends at once, also while
// nothing comes.
func TestDownloadCancel(t *testing.T) {
	t.Parallel()
	layer := makeTar(t, file{name: "usr/x", body: strings.Repeat("x", 1<<20)})
	ctx, cancel := context.WithCancel(t.Context())
	b := &blobServer{blob: layer, path: "/blobs/" + string(digest(layer)), answers: []answer{
		func(b *blobServer, w http.ResponseWriter, r *http.Request) {
			time.AfterFunc(50*time.Millisecond, cancel)
			stall(1000)(b, w, r)
		},
	}}
	host := serveRegistry(t, b.wrap)
	push(t, host+"/r:1", testImage(t, "amd64", types.OCIUncompressedLayer, asIs, layer))
	im := mustOpen(t, "oci:"+host+"/r:1", source.Options{})
	start := time.Now()
	_, err := lines(ctx, im.Layers[0])
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
