package transfer_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"inlay/internal/transfer"
)

// pipes is a listener whose connections are in memory, where a virtual clock
// sees them.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// inBubble runs a transfer with the default patience from the handler, and
// returns how long it took by the virtual clock.
func inBubble(t *testing.T, handle http.HandlerFunc, check func(*testing.T, *memory, error)) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		server := &http.Server{Handler: handle, ReadHeaderTimeout: time.Hour}
		go func() { _ = server.Serve(l) }()
		tr := transfer.Transport(transfer.TransportOptions{Dial: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			l <- there
			return here, nil
		}})
		tr.Proxy = nil
		tr.DisableKeepAlives = true
		start := time.Now()
		m := &memory{}
		f, err := transfer.OpenFile(t.Context(), transfer.FileOptions{
			Client: &http.Client{Transport: tr}, URL: &url.URL{Scheme: "http", Host: "images.test", Path: "/x.raw"},
		})
		if err == nil {
			_, _, err = f.CopyTo(t.Context(), m, nil)
			f.Close()
		}
		took = time.Since(start)
		close(l)
		server.Close()
		check(t, m, err)
	})
	return took
}

// TestSlow promises that a file may take hours, as long as something comes.
func TestSlow(t *testing.T) {
	t.Parallel()
	took := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Length", "1000")
		for range 1000 {
			time.Sleep(55 * time.Second)
			_, _ = w.Write([]byte("x"))
			_ = http.NewResponseController(w).Flush()
		}
	}, func(t *testing.T, m *memory, err error) {
		t.Helper()
		if err != nil || len(m.b) != 1000 {
			t.Errorf("%d bytes, %v", len(m.b), err)
		}
	})
	if took < 1000*55*time.Second || took > 1001*55*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestStalled promises a minute for a byte to come, six times, with growing
// pauses between.
func TestStalled(t *testing.T) {
	t.Parallel()
	asked := 0
	took := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("x"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}, func(t *testing.T, _ *memory, err error) {
		t.Helper()
		if g, ok := errors.AsType[*transfer.GaveUpError](err); !ok || g.Tries != 6 || g.At != 1 || g.Size != 1000 || !errors.Is(err, transfer.ErrStalled) {
			t.Errorf("got %v", err)
		}
	})
	if want := 6*time.Minute + 15500*time.Millisecond; took != want || asked != 6 {
		t.Errorf("it took %v and %d tries, want %v and 6", took, asked, want)
	}
}

// TestRetryAfter promises that a server is left alone for as long as it asks, in
// seconds or until a date, and that nonsense is no request.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after func() string
		want  time.Duration
	}{
		"seconds":  {func() string { return "120" }, 2 * time.Minute},
		"date":     {func() string { return time.Now().Add(200 * time.Second).UTC().Format(http.TimeFormat) }, 200 * time.Second},
		"past":     {func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, 500 * time.Millisecond},
		"nonsense": {func() string { return "-1" }, 500 * time.Millisecond},
		"none":     {func() string { return "" }, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			took := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked == 1 {
					w.Header().Set("Retry-After", tt.after())
					w.WriteHeader(http.StatusServiceUnavailable)
				} else if r.Header.Get("Range") != "" {
					w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
				} else {
					_, _ = w.Write([]byte("x"))
				}
			}, func(t *testing.T, m *memory, err error) {
				t.Helper()
				if err != nil || string(m.b) != "x" {
					t.Errorf("%q, %v", m.b, err)
				}
			})
			if took != tt.want {
				t.Errorf("it took %v, want %v", took, tt.want)
			}
		})
	}
}
