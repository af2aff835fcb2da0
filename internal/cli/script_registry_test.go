package cli_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
)

// Who may pull from a registry that wants a login.
const (
	registryUser     = "reader"
	registryPassword = "s3cret"
)

// testRegistry is a registry in the process of the test, on the loopback.
type testRegistry struct {
	server *httptest.Server
	auth   bool
	// stalled is closed once a blob is held back.
	stalled chan struct{}
}

// registriesKey finds a script's registries by the variables that name them.
type registriesKey struct{}

// cmdRegistry is "registry VARIABLE [auth|tls|stall]": it starts an empty
// registry and puts its host and port into VARIABLE. With auth it wants a
// login (reader, s3cret), with tls its certificate is one that nobody knows,
// with stall it sends the first part of a blob and then nothing.
func cmdRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: registry VARIABLE [auth|tls|stall]")
	}
	r := &testRegistry{stalled: make(chan struct{})}
	quiet := log.New(io.Discard, "", 0)
	handler := registry.New(registry.Logger(quiet))
	mode := ""
	if len(args) == 2 {
		mode = args[1]
	}
	switch mode {
	case "auth":
		r.auth = true
		handler = withLogin(handler)
	case "stall":
		handler = r.withStalls(handler)
	case "", "tls":
	default:
		ts.Fatalf("no such registry: %q", mode)
	}
	r.server = httptest.NewUnstartedServer(handler)
	r.server.Config.ErrorLog = quiet
	if mode == "tls" {
		r.server.StartTLS()
	} else {
		r.server.Start()
	}
	ts.Defer(func() {
		r.server.CloseClientConnections()
		r.server.Close()
	})
	registries(ts)[args[0]] = r
	ts.Setenv(args[0], r.host())
}

func registries(ts *testscript.TestScript) map[string]*testRegistry {
	all, ok := ts.Value(registriesKey{}).(map[string]*testRegistry)
	if !ok {
		ts.Fatalf("the script was not set up")
	}
	return all
}

func registryNamed(ts *testscript.TestScript, variable string) *testRegistry {
	r, ok := registries(ts)[variable]
	if !ok {
		ts.Fatalf("no registry was started as %q", variable)
	}
	return r
}

func (r *testRegistry) host() string {
	_, host, _ := strings.Cut(r.server.URL, "://")
	return host
}

func (r *testRegistry) login() authn.Authenticator {
	if !r.auth {
		return authn.Anonymous
	}
	return &authn.Basic{Username: registryUser, Password: registryPassword}
}

func withLogin(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, password, _ := req.BasicAuth(); user != registryUser || password != registryPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, req)
	})
}

func (r *testRegistry) withStalls(inner http.Handler) http.Handler {
	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
			w = &stallingWriter{ResponseWriter: w, left: 32 << 10, wait: func() {
				once.Do(func() { close(r.stalled) })
				<-req.Context().Done()
			}}
		}
		inner.ServeHTTP(w, req)
	})
}

// stallingWriter passes on what is left of its allowance, then waits.
type stallingWriter struct {
	http.ResponseWriter
	left int
	wait func()
}

func (w *stallingWriter) Write(p []byte) (int, error) {
	if len(p) <= w.left {
		w.left -= len(p)
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p[:w.left])
	if err != nil {
		return n, err
	}
	if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	w.wait()
	return n, io.ErrClosedPipe
}
