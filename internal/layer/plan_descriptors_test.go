package layer_test

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

// TestPlanDescriptors sees what a plan holds open: each extension, and nothing in it;
// and nothing at all once it is closed.
func TestPlanDescriptors(t *testing.T) { //nolint:paralleltest // it counts those of the whole process
	files := someHost()
	const crowd = 50
	for n := range crowd {
		maps.Copy(files, ext(fmt.Sprintf("run/extensions/e%d", n), fits, fmt.Sprintf("usr/share/e%d/a/b", n)))
	}
	root := system(t, files)
	open := func() (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, root.Name()) {
				n++
			}
		}
		return n
	}
	before := open()
	p, err := layer.MakePlan(t.Context(), layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: policy(t, "any")})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Merged()) != crowd {
		t.Errorf("%d are merged", len(p.Merged()))
	}
	// Of the host a folder for each hierarchy, and the way to the one looked at last.
	if n := open() - before; n > crowd+10 {
		t.Errorf("a plan of %d extensions holds %d descriptors", crowd, n)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if n := open() - before; n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
}
