package fetch_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"inlay/internal/fetch"
	"inlay/internal/hint"
	"inlay/internal/source"
)

func digest(b string) source.Digest {
	sum := sha256.Sum256([]byte(b))
	return source.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// serve starts a web server.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// serveTLS starts a web server with a certificate, by an authority that is in
// the pool.
func serveTLS(t testing.TB, h http.HandlerFunc) (address string, pool *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool = x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.URL, pool
}

// content answers with body, whatever is asked for.
func content(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		_, _ = io.WriteString(w, body)
	}
}

// got is what a download brought.
type got struct {
	*fetch.Download
	fetch.Result
	body string
}

// download opens and copies into a file.
func download(t testing.TB, r fetch.Request) (got, error) {
	t.Helper()
	d, err := fetch.Open(t.Context(), r)
	if err != nil {
		return got{}, err
	}
	defer d.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	res, err := d.Copy(t.Context(), f)
	if err != nil {
		return got{Download: d}, err
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if res.Digest != digest(string(b)) || res.Size != int64(len(b)) {
		t.Errorf("%+v is not of the %d bytes that were written", res, len(b))
	}
	return got{d, res, string(b)}, nil
}

// wantError compares an error and its advice with what should be in them.
func wantError(t testing.TB, err error, text, advice string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got error %v, want %q in it", err, text)
		return
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error %q has more than one line", err)
	}
	if all := strings.Join(hint.Of(err), "; "); !strings.Contains(all, advice) || advice == "" != (all == "") {
		t.Errorf("the advice on %q is %q, want %q in it", err, all, advice)
	}
}

func isMismatch(err error) bool {
	_, ok := errors.AsType[*source.MismatchError](err)
	return ok
}

func write(t testing.TB, name, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func timeZero() time.Time { return time.Time{} }

// short is an answer that breaks off half way, once.
type short struct {
	http.ResponseWriter
	cut bool
}

func (s *short) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p)
	if s.cut && err == nil {
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}
