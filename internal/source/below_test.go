package source_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
	"inlay/internal/tree"
)

// TestDaemonBelow promises that a look at all the layers below, after the walk of
// one and a look at the base, is one more export, which is spooled only where
// names say nothing, and that it finds each layer's entries, those of equal layers too.
func TestDaemonBelow(t *testing.T) {
	t.Parallel()
	tars := twoLayers(t)
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1], tars[0], makeTar(t, file{name: "usr/top"}))
	tests := map[string]struct {
		save    saver
		exports int32
		spool   bool
	}{
		"docker 25":  {savedByDocker25, 3, false},
		"podman":     {savedByPodman, 3, false},
		"docker 20":  {savedByDocker20, 1, true},
		"containerd": {savedByContainerd, 2, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, host := startDaemon(t, image, tt.save)
			o := source.Options{DockerHost: host}
			if !tt.spool {
				o.SpoolDir = "/nowhere"
			}
			im := mustOpen(t, "docker:some/image:1", o)
			layers, err := im.Select(source.Selection{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lines(t.Context(), layers[0]); err != nil {
				t.Fatal(err)
			}
			if _, err := im.Base(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got [3][]string
			if err := im.NamesBelow(t.Context(), len(got), func(layer int, e *tree.Entry) error {
				got[layer] = append(got[layer], e.Name)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			lower := []string{"usr", "usr/lib", "usr/lib/os-release", "usr/bin/old"}
			want := [3][]string{lower, {"usr/bin/tool", "usr/bin/alias", "usr/bin/same", "usr/bin/old", "usr/share/" + strings.Repeat("long", 50)}, lower}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if n := d.exports.Load(); n != tt.exports {
				t.Errorf("%d exports, want %d", n, tt.exports)
			}
		})
	}
}
