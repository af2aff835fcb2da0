package house_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sizeBudget is the most bytes that the stripped program may have. It is small
// because a trusted-boot EFI image carries it; raise it with a reason. It was 12
// MiB until keys and media came, and 14 until merging, the boot step and EROFS that is
// compressed both ways did: code of our own, which brings no library.
const sizeBudget = 16 << 20

// TestDeps keeps out of the program what only its makers need, and what would
// double its weight. Packages are named by prefix.
func TestDeps(t *testing.T) {
	unwanted := map[string]string{
		"github.com/spf13/cobra/doc":        "the manual's generator is docs/gen",
		"github.com/cpuguy83/go-md2man":     "the manual's generator is docs/gen",
		"k8s.io/":                           "no cluster client in a node's tool",
		"github.com/docker/docker":          "the daemon is spoken to in plain HTTP",
		"github.com/docker/cli/cli/command": "the daemon is spoken to in plain HTTP",
		"github.com/moby/":                  "the daemon is spoken to in plain HTTP",
		"github.com/google/go-cmp":          "for tests only: it may panic",
		"github.com/smallstep/pkcs7":        "for tests only: the witness of internal/cms",
		"github.com/erofs/go-erofs":         "for tests only: a witness of internal/erofs",
		"github.com/rogpeppe/go-internal":   "for tests only",
		"google.golang.org/":                "no RPC, no protobuf",
		"testing":                           "for tests only",
		"net/http/httptest":                 "for tests only",
		"net/http/pprof":                    "opens a door in every server",
		"expvar":                            "opens a door in every server",
		"plugin":                            "the binary is static",
		"runtime/cgo":                       "the binary is static",
		module + "/test/":                   "for tests only",
		"github.com/google/go-containerregistry/pkg/v1/daemon":   "drags 17 modules in",
		"github.com/google/go-containerregistry/pkg/registry":    "a server, for tests",
		"github.com/google/go-containerregistry/pkg/v1/validate": "for tests only",
	}
	t.Setenv("CGO_ENABLED", "0")
	linked := strings.Fields(string(run(t, root(t), "go", "list", "-deps", "./cmd/inlay")))
	if !slices.Contains(linked, module+"/internal/cli") {
		t.Fatalf("go list named %d packages and not the face: is this the program?", len(linked))
	}
	for _, p := range linked {
		for prefix, why := range unwanted {
			if p == prefix || strings.HasPrefix(p, strings.TrimSuffix(prefix, "/")+"/") {
				t.Errorf("cmd/inlay links %s: %s", p, why)
			}
		}
	}
}

// TestSize builds the program as `make build` does and weighs it.
func TestSize(t *testing.T) {
	t.Setenv("CGO_ENABLED", "0")
	program := filepath.Join(t.TempDir(), "inlay")
	run(t, root(t), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/inlay")
	stat, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the stripped program has %.1f MiB of at most %d", float64(stat.Size())/(1<<20), sizeBudget>>20)
	if stat.Size() > sizeBudget {
		t.Errorf("the stripped program has %d bytes, at most %d: see what it links with `go version -m` and `go list -deps`", stat.Size(), sizeBudget)
	}
}
