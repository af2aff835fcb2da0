package transfer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"inlay/internal/transfer"
)

// try is how the server behaves for one request.
type try struct {
	body     []byte
	etag     string
	modified time.Time
	cut      int         // bytes of the answer after which the connection breaks; 0 is none
	silent   bool        // instead of breaking, nothing more comes
	deaf     bool        // to ranges
	chunked  bool        // the size is not announced
	header   http.Header // in place of what the answer would have
	status   int         // and nothing else
	raw      string      // on the wire, instead of HTTP done right
	then     func()      // when the answer has gone
}

// script answers requests one after the other as its tries say; the last one is
// repeated. What is asked for behind the file's end is answered apart.
type script struct {
	tries []try

	mu   sync.Mutex
	asks []string // Range and If-Range of each request
	end  []string // of requests for the byte behind the end
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	ask := r.Header.Get("Range")
	if from, to, ok := strings.Cut(strings.TrimPrefix(ask, "bytes="), "-"); ok && from == to {
		s.end = append(s.end, ask)
		t := s.tries[min(len(s.asks), len(s.tries))-1]
		s.mu.Unlock()
		t.cut, t.header, t.raw, t.chunked = 0, nil, "", false
		t.serve(w, r)
		return
	}
	if r.Header.Get("If-Range") != "" {
		ask += " if " + r.Header.Get("If-Range")
	}
	t := s.tries[min(len(s.asks), len(s.tries)-1)]
	s.asks = append(s.asks, ask)
	s.mu.Unlock()
	t.serve(w, r)
	if t.then != nil {
		t.then()
	}
	if t.cut > 0 && t.silent {
		<-r.Context().Done()
	} else if t.cut > 0 {
		panic(http.ErrAbortHandler)
	}
}

func (t try) serve(w http.ResponseWriter, r *http.Request) {
	if t.raw != "" {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			fmt.Fprint(conn, t.raw)
			conn.Close()
		}
		return
	}
	if t.etag != "" {
		w.Header().Set("ETag", t.etag)
	}
	if t.deaf {
		r.Header.Del("Range")
	}
	out := &patched{ResponseWriter: w, t: t, left: t.cut}
	if t.status != 0 {
		out.WriteHeader(t.status)
		return
	}
	if t.chunked && r.Header.Get("Range") == "" {
		out.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		_, _ = out.Write(t.body)
		return
	}
	http.ServeContent(out, r, "", t.modified, bytes.NewReader(t.body))
}

// patched is an answer with something changed.
type patched struct {
	http.ResponseWriter
	t    try
	left int
}

func (p *patched) WriteHeader(status int) {
	for name, values := range p.t.header {
		p.Header()[name] = values
		if len(values) == 0 {
			p.Header().Del(name)
		}
	}
	p.ResponseWriter.WriteHeader(status)
}

func (p *patched) Write(b []byte) (int, error) {
	if p.t.cut == 0 {
		return p.ResponseWriter.Write(b)
	}
	if p.left == 0 {
		return 0, http.ErrAbortHandler
	}
	n, err := p.ResponseWriter.Write(b[:min(len(b), p.left)])
	p.left -= n
	if err == nil {
		err = http.NewResponseController(p.ResponseWriter).Flush()
	}
	return n, err
}

// memory is a destination that shows bytes which were never written.
type memory struct {
	b         []byte
	truncated int
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off != int64(len(m.b)) {
		return 0, fmt.Errorf("written at %d, where there are %d bytes", off, len(m.b))
	}
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memory) Truncate(size int64) error {
	m.truncated++
	m.b = m.b[:size]
	return nil
}

// noise is content of which no part is like another.
func noise(seed uint64, size int) []byte {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // content that looks like any
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// impatient gives up soon, but not because a busy machine is slow.
func impatient() transfer.Patience {
	return transfer.Patience{Stall: 20 * time.Second, Tries: 4, Backoff: time.Millisecond}
}

// serve starts a server and returns its address, and a client that does not keep
// connections.
func serve(t testing.TB, h http.Handler) (*url.URL, *http.Client) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	tr := transfer.Transport(transfer.TransportOptions{Stall: time.Minute})
	tr.DisableKeepAlives = true
	return u, &http.Client{Transport: tr}
}
