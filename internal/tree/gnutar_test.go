//go:build linux

package tree_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/tree"
	"inlay/test/need"
)

// fileLayer is a tar on disk.
func fileLayer(path string) tree.Layer {
	return opened{path, func(context.Context) (io.ReadCloser, error) { return os.Open(path) }}
}

// GNU tar is the witness: what it packs, with every format and option that
// changes how, must come back as what lay on disk.
func TestGNUTar(t *testing.T) {
	t.Parallel()
	tool := need.Tool(t, "tar", "tar")
	dir := t.TempDir()
	sample(t, dir)
	for _, c := range []struct {
		name      string
		args      []string
		nsec, has bool // the format has nanoseconds, extended attributes
	}{
		{"pax", []string{"--format=pax", "--xattrs", "--xattrs-include=*"}, true, true},
		{"pax sparse 1.0", []string{"--format=pax", "--sparse", "--sparse-version=1.0", "--xattrs", "--xattrs-include=*"}, true, true},
		{"pax sparse 0.1", []string{"--format=pax", "--sparse", "--sparse-version=0.1"}, true, false},
		{"pax sparse 0.0", []string{"--format=pax", "--sparse", "--sparse-version=0.0"}, true, false},
		{"gnu", []string{"--format=gnu"}, false, false},
		{"gnu sparse", []string{"--format=gnu", "--sparse"}, false, false},
		{"names with slashes", []string{"--format=pax", "--transform=s,^\\./,/,", "--absolute-names"}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.tar")
			run(t, tool, append([]string{"--create", "--numeric-owner", "--file", file, "-C", dir}, append(c.args, ".")...)...)
			var d digests
			tr, _, err := tree.Merge(t.Context(), []tree.Layer{fileLayer(file)}, tree.Options{}, &d)
			if err != nil {
				t.Fatal(err)
			}
			want := onDisk(t, dir)
			for name, f := range want {
				if !c.nsec {
					f.Nsec = 0
				}
				if !c.has {
					f.Xattrs = ""
				}
				want[name] = f
			}
			if diff := cmp.Diff(want, inTree(t, tr, &d)); diff != "" {
				t.Errorf("disk and tree differ (-disk +tree):\n%s", diff)
			}
		})
	}
}
