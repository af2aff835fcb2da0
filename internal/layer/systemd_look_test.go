package layer_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

// TestSystemdLooks sees that whoever only looks changes nothing, and is shown what a
// merge would find.
func TestSystemdLooks(t *testing.T) {
	t.Parallel()
	k := extension.Sysext()
	for _, c := range []struct {
		name string
		old  bool
		want []string
	}{
		{"with the folders of old", true, []string{"/run/extensions/kept merge", "/run/extensions/other skipped", "/usr/lib/extensions/new merge"}},
		{"without", false, []string{"/run/extensions/other skipped", "/var/lib/extensions/kept merge"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.version = "systemd 262\n"
			someHost().plus(
				ext("usr/lib/extensions/kept", fits, "opt/kept"), ext("usr/lib/extensions/new", fits, "opt/new"), ext("var/lib/extensions/kept", fits, "opt/other"),
				tree{
					"run/extensions/kept": "-> /usr/lib/extensions/kept", "run/extensions/gone": "-> /usr/lib/extensions/gone", "run/extensions/other": "-> /srv/other",
					"run/inlay/linked-sysext.json": `["kept","gone","other"]`,
				},
			).lay(t, w.root.Name())
			before := names(t, w.root.Name())
			e := w.engineOf(t, false, errors.New("none"))
			r := layer.Request{Root: w.root, Kind: k, Policy: policy(t, "any"), User: os.Getuid(), Old: c.old, Look: true, Hierarchies: []string{"/opt"}}
			if err := e.Prepare(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
			p, err := layer.MakePlan(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(p.Close(), e.Close()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range p.Items {
				if i.State != layer.Shadowed {
					got = append(got, i.Place+" "+string(i.State))
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, names(t, w.root.Name())); diff != "" {
				t.Errorf("it changed something: %s", diff)
			}

			// What is merged, or was when its merger was killed, is not to be told now.
			w.write("run/inlay/covered-sysext.json", `["run/extensions/kept"]`)
			if err := e.Prepare(t.Context(), &r); err == nil {
				t.Error("what is covered is told")
			}
		})
	}
}

// names lists all that is in a folder.
func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
