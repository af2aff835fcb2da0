package source_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
)

// TestDaemonExports promises how often a daemon has to make its archive: once
// for what passes by name, once more for names that say nothing, and never
// again when it has been spooled.
func TestDaemonExports(t *testing.T) {
	t.Parallel()
	tars := twoLayers(t)
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1])
	tests := map[string]struct {
		save      saver
		layers    string
		walks     int
		exports   int32
		createdBy string // known only from a spooled archive
	}{
		"docker 25, last":       {savedByDocker25, "last", 1, 1, ""},
		"docker 25, last twice": {savedByDocker25, "last", 2, 2, ""},
		"docker 25, last often": {savedByDocker25, "last", 5, 3, "COPY 1"},
		"docker 25, all":        {savedByDocker25, "all", 2, 1, "COPY 1"},
		"podman, last":          {savedByPodman, "last", 1, 1, ""},
		"docker 20, last":       {savedByDocker20, "last", 3, 1, "COPY 1"},
		"docker 20, all":        {savedByDocker20, "all", 1, 1, "COPY 1"},
		"containerd, last":      {savedByContainerd, "last", 2, 2, "COPY 1"},
		"containerd, all":       {savedByContainerd, "all", 2, 1, "COPY 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, host := startDaemon(t, image, tt.save)
			im := mustOpen(t, "docker:some/image:1", source.Options{DockerHost: host})
			s, err := source.ParseLayers(tt.layers)
			if err != nil {
				t.Fatal(err)
			}
			layers, err := im.Select(s)
			if err != nil {
				t.Fatal(err)
			}
			for range tt.walks {
				for i, l := range layers {
					got, err := lines(t.Context(), l)
					if err != nil {
						t.Fatal(err)
					}
					want := wantLines(t, tars[2-len(layers)+i])
					if diff := cmp.Diff(want, got); diff != "" {
						t.Error(diff)
					}
				}
			}
			if got := d.exports.Load(); got != tt.exports {
				t.Errorf("%d exports, want %d", got, tt.exports)
			}
			if got := im.Layers[1].CreatedBy; got != tt.createdBy {
				t.Errorf("created by %q, want %q", got, tt.createdBy)
			}
		})
	}
}

// TestDaemonLies promises that a daemon's layer is what its image says.
func TestDaemonLies(t *testing.T) {
	t.Parallel()
	tars := twoLayers(t)
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1])
	other := testImage(t, "amd64", types.OCILayer, gzipBytes, tars[1], tars[0])
	d, host := startDaemon(t, image, savedByDocker25)
	for name, tt := range map[string]struct {
		archive []byte
		err     string
	}{
		"flipped":        {flip(savedByDocker25(t, image), tars[1]), "has the digest"},
		"flipped, old":   {flip(savedByDocker20(t, image), tars[1]), "has the digest"},
		"another image":  {savedByDocker20(t, other), "its layers are not those of the image"},
		"cut":            {savedByDocker20(t, image)[:5000], "unexpected EOF"},
		"not an archive": {[]byte(strings.Repeat("no tar ", 1000)), "reading the daemon's archive"},
		"empty":          {nil, "reading the daemon's archive"},
	} {
		t.Run(name, func(t *testing.T) {
			d.archive = tt.archive
			im := mustOpen(t, "docker:some/image:1", source.Options{DockerHost: host})
			if _, err := im.Select(source.Selection{}); err != nil {
				t.Fatal(err)
			}
			_, err := lines(t.Context(), im.Layers[1])
			wantError(t, err, tt.err, "")
		})
	}
}

// flip changes one bit of a file's content in an archive that holds inner.
func flip(outer, inner []byte) []byte {
	at := strings.Index(string(outer), string(inner[:4096])) + strings.Index(string(inner), "tooltool") + 100
	outer[at] ^= 1
	return outer
}

// TestAny promises which of daemon and registry a bare reference gets, and why.
func TestAny(t *testing.T) {
	t.Parallel()
	tar := makeTar(t, file{name: "usr/x"})
	amd := testImage(t, "amd64", types.OCILayer, gzipBytes, tar)
	arm := testImage(t, "arm64", types.OCILayer, gzipBytes, tar)
	host := serveRegistry(t, nil)
	push(t, host+"/x:1", amd)
	amdDaemon, armDaemon := serveDaemon(t, host+"/x:1", amd), serveDaemon(t, host+"/x:1", arm)
	for name, tt := range map[string]struct{ ref, docker, origin, err string }{
		"daemon":          {host + "/x:1", amdDaemon, "daemon at " + amdDaemon, ""},
		"other platform":  {host + "/x:1", armDaemon, "registry " + host + " (the daemon's image is linux/arm64)", ""},
		"not in daemon":   {host + "/x", amdDaemon, "", "does not have it in x (404) (the daemon does not have the image)"},
		"no daemon":       {host + "/x:1", "unix:///nowhere.sock", "registry " + host + " (no daemon answers at unix:///nowhere.sock: connect: no such file or directory)", ""},
		"ssh":             {host + "/x:1", "ssh://me@h", "registry " + host + " (a daemon behind ssh:// cannot be asked)", ""},
		"container: too":  {"container://" + host + "/x:1", amdDaemon, "daemon at " + amdDaemon, ""},
		"neither has one": {host + "/y", "unix:///nowhere.sock", "", "no daemon answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			im, err := open(t, tt.ref, source.Options{Architecture: "amd64", DockerHost: tt.docker})
			if tt.err != "" {
				wantError(t, err, tt.err, "the name and the tag")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer im.Close()
			if im.Origin != tt.origin {
				t.Errorf("origin %q, want %q", im.Origin, tt.origin)
			}
		})
	}
}

// TestDaemonErrors promises one clear line for a daemon that cannot be asked.
func TestDaemonErrors(t *testing.T) {
	t.Parallel()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "web") {
			w.Write([]byte("<html>hello</html>"))
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
		w.Write([]byte(`{"message":"no\nspace left"}`))
	}))
	t.Cleanup(broken.Close)
	tcp := strings.Replace(broken.URL, "http:", "tcp:", 1)
	for name, tt := range map[string]struct{ ref, host, err, hint string }{
		"ssh":        {"docker:x", "ssh://me@host", "ssh://", "ssh -L"},
		"unknown":    {"docker:x", "npipe:////./pipe/docker", `scheme "npipe"`, "unix://PATH"},
		"relative":   {"docker:x", "unix://", "not absolute", "unix://PATH"},
		"no port":    {"docker:x", "tcp://", "tcp://HOST:PORT", "unix://PATH"},
		"nonsense":   {"docker:x", "\x7f", "not a URL", "unix://PATH"},
		"no socket":  {"docker:x", "unix:///nowhere.sock", "no daemon answers at unix:///nowhere.sock", "oci:REF"},
		"no answer":  {"docker:x", "tcp://127.0.0.1:1", "connection refused", "oci:REF"},
		"its words":  {"docker:x", tcp, "status 500: no space left", ""},
		"web server": {"docker:web", tcp, "does not answer as a Docker daemon", "DOCKER_HOST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, tt.ref, source.Options{DockerHost: tt.host})
			wantError(t, err, tt.err, tt.hint)
		})
	}
}

// TestUsualSockets promises that Podman's socket is found without being told,
// and that DOCKER_HOST is honoured.
func TestUsualSockets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	if err := os.MkdirAll(filepath.Join(dir, "podman"), 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "podman", "podman.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Skipf("a socket's path has to be short: %v", err)
	}
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, makeTar(t, file{name: "usr/x"}))
	s := &http.Server{Handler: newDaemon(t, image, savedByPodman), ReadHeaderTimeout: time.Minute}
	go func() {
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { s.Close() })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("DOCKER_HOST", "")
	im := mustOpen(t, "docker:some/image:1", source.Options{})
	if want := "daemon at unix://" + socket; im.Origin != want {
		t.Errorf("origin %q, want %q", im.Origin, want)
	}
	if _, err := lines(t.Context(), im.Layers[0]); err != nil {
		t.Error(err)
	}
	t.Setenv("DOCKER_HOST", "unix:///nowhere.sock")
	_, err = open(t, "docker:some/image:1", source.Options{})
	wantError(t, err, "unix:///nowhere.sock", "oci:REF")
}
