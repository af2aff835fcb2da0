package fetch_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"inlay/internal/fetch"
)

// proxy answers what is plain itself and passes on to a server what is not,
// whatever the names, for who has the password.
type proxy struct {
	secure string // where it listens

	mu    sync.Mutex
	asked []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.RequestURI)
	p.mu.Unlock()
	if r.Header.Get("Proxy-Authorization") != "Basic bWU6czNjcmV0" { // me:s3cret
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		content("by plain proxy")(w, r)
		return
	}
	there, err := new(net.Dialer).DialContext(r.Context(), "tcp", p.secure)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	fmt.Fprint(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(there, here) }()
	_, _ = io.Copy(here, there)
}

const childURI = "INLAY_TEST_FETCH_URI"

// TestProxyChild is the process that TestProxy starts: a program learns its
// proxies from its environment once.
func TestProxyChild(t *testing.T) {
	uri := os.Getenv(childURI)
	if uri == "" {
		t.Skip("runs below TestProxy")
	}
	g, err := download(t, fetch.Request{URI: uri}.Impatient())
	fmt.Printf("\nbrought %q %v\n", g.body, err)
}

// TestProxy promises that the environment's proxies are used, for either scheme,
// with their passwords, which no error shows; and that the environment's
// authorities are trusted.
func TestProxy(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(content("by tunnel"))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		uri     string
		user    string
		setting string // instead of the proxy's address
		want    string
		asked   string
	}{
		"http":           {"http://images.test/x.raw", "me:s3cret@", "", `brought "by plain proxy" <nil>`, "GET http://images.test/x.raw"},
		"https":          {"https://example.com/x.raw", "me:s3cret@", "", `brought "by tunnel" <nil>`, "CONNECT example.com:443"},
		"https, refused": {"https://example.com/x.raw", "me:s3cr3t@", "", "Proxy Authentication Required", "CONNECT example.com:443"},
		"http, refused":  {"http://images.test/x.raw", "me:s3cr3t@", "", "status 407", "GET http://images.test/x.raw"},
		"gone":           {"http://images.test/x.raw", "", "http://me:s3cret@127.0.0.1:1", "the server images.test cannot be reached: the proxy of this machine's environment refuses the connection", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &proxy{secure: secure.Listener.Addr().String()}
			address := serve(t, p.ServeHTTP)
			setting := tt.setting
			if setting == "" {
				setting = strings.Replace(address, "://", "://"+tt.user, 1)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyChild$")
			cmd.Env = []string{childURI + "=" + tt.uri, "HTTP_PROXY=" + setting, "HTTPS_PROXY=" + setting, "SSL_CERT_FILE=" + authority, "TMPDIR=" + t.TempDir()}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v: got %s, want %q in it", err, out, tt.want)
			}
			if strings.Contains(string(out), "s3cr") {
				t.Errorf("%s shows a password", out)
			}
			if all := strings.Join(p.asked, ", "); !strings.Contains(all, tt.asked) || tt.asked == "" && all != "" {
				t.Errorf("the proxy was asked for %q", all)
			}
		})
	}
}
