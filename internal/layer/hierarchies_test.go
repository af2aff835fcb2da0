package layer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

func TestHierarchies(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, name := range []string{"usr/bin", "usr/share", "opt", "etc"} {
		if err := os.MkdirAll(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	merged := []layer.Hierarchy{{Path: "/usr", Extensions: []string{"one"}, Since: time.Unix(1, 0)}}
	for name, c := range map[string]struct {
		kind       extension.Kind
		configured []string
		variable   string
		want       []string
		fails      bool
	}{
		"systemd's own":    {kind: extension.Sysext(), want: []string{"/opt", "/usr one"}},
		"of confexts":      {kind: extension.Confext(), want: []string{"/etc"}},
		"configured":       {kind: extension.Sysext(), configured: []string{"/usr/share", "/nowhere"}, want: []string{"/usr/share"}},
		"Kairos'":          {kind: extension.Sysext(), configured: []string{"kairos"}, want: []string{"/usr/bin", "/usr/share"}},
		"the environment":  {kind: extension.Sysext(), configured: []string{"/usr/share"}, variable: "/usr:/srv", want: []string{"/usr one"}},
		"no hierarchy":     {kind: extension.Sysext(), configured: []string{"share"}, fails: true},
		"in the variable":  {kind: extension.Sysext(), variable: "usr", fails: true},
		"one in the other": {kind: extension.Sysext(), configured: []string{"/usr", "/usr/bin"}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			getenv := func(string) string { return c.variable }
			rows, err := layer.Hierarchies(root, c.kind, c.configured, getenv, merged)
			if err != nil != c.fails {
				t.Fatal(err)
			}
			var got []string
			for _, h := range rows {
				var text strings.Builder
				text.WriteString(h.Path)
				for _, name := range h.Extensions {
					text.WriteString(" " + name)
				}
				got = append(got, text.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
