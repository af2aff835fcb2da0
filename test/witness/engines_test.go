package witness_test

import (
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/daemon"
	"inlay/test/need"
)

// TestNewerEngines has newer engines hand over an image that Docker 20 made:
// Docker 26, whose archives tell layers by name, and Podman 5. One layer
// streams by, several are spooled; the bytes are those of Docker 20.
func TestNewerEngines(t *testing.T) {
	t.Parallel()
	need.Root(t)
	old := newEngine(t)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "first"), "first layer\n", 0o644)
	write(t, filepath.Join(folder, "second"), strings.Repeat("second layer\n", 100_000), 0o644)
	old.build(t, folder, "localhost/carried:1", "FROM scratch\nCOPY first /usr/share/first\nCOPY second /usr/share/second\n")
	saved := filepath.Join(folder, "saved.tar")
	old.run(t, "save", "--output", saved, "localhost/carried:1")
	k := newKey(t)
	for name, start := range map[string]func(testing.TB) string{"docker 26": daemon.StartNewer, "podman 5": daemon.StartPodman} {
		t.Run(name, func(t *testing.T) {
			e := &engine{[]string{"DOCKER_HOST=" + start(t), "DOCKER_CONFIG=" + t.TempDir()}}
			e.run(t, "load", "--quiet", "--input", saved)
			for _, layers := range []string{"last", "1", "all"} {
				want := build(t, old.env, k, "carried", "docker:localhost/carried:1", "--layers", layers)
				got := build(t, e.env, k, "carried", "docker:localhost/carried:1", "--layers", layers)
				if got.SHA256 != want.SHA256 {
					t.Errorf("--layers %s gives other bytes than from Docker 20", layers)
				}
			}
		})
	}
}
