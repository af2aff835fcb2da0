package layer_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

func TestMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	sysext, confext := extension.Sysext(), extension.Confext()
	w.merge(sysext, "usr", "a\nb_1.0\n", false)
	w.merge(sysext, "usr/local/share", "", false)
	w.merge(sysext, "usr/lib", "copied\n", true) // with a tree around it
	w.merge(confext, "usr/bin", "other\n", false)
	w.merge(confext, "etc", "c\n", false)
	w.merge(sysext, "srv/x", "d\n", false)
	w.merge(sysext, "mnt/a b", "e\n", false)
	w.merge(sysext, "var/opt", "f\n", false)
	w.merge(sysext, "sysroot/usr", "another root's\n", false)
	if err := os.Symlink("/var/opt", filepath.Join(w.root.Name(), "opt")); err != nil {
		t.Fatal(err)
	}
	w.write("usr/src", "a file")
	w.write("proc/thread-self/mountinfo", `1 2 0:1 / / rw - ext4 /dev/x rw
203 49 0:59 / /usr ro,nodev,relatime shared:63 - overlay sysext ro,lowerdir=/x
204 49 0:60 / /mnt/a\040b ro - overlay sysext ro
205 49 0:61 / /mnt/gone ro - overlay sysext ro
206 49 0:62 / /sysroot/usr ro - overlay sysext ro
`)
	e := w.engine(map[string]string{"SYSTEMD_SYSEXT_HIERARCHIES": "/usr/bin:/srv/x:/nowhere"})
	usr := []layer.Hierarchy{
		{Path: "/opt", Extensions: []string{"f"}},
		{Path: "/srv/x", Extensions: []string{"d"}},
		{Path: "/usr", Extensions: []string{"a", "b_1.0"}},
		{Path: "/usr/local/share"},
	}
	for _, test := range []struct {
		name string
		e    *layer.Systemd
		k    extension.Kind
		want []layer.Hierarchy
	}{
		{"below another root", e, sysext, usr},
		{"confext", e, confext, []layer.Hierarchy{{Path: "/etc", Extensions: []string{"c"}}}},
		{
			"running", w.engine(map[string]string{"SYSTEMD_SYSEXT_HIERARCHIES": "/srv/x"}).Running(), sysext,
			append([]layer.Hierarchy{{Path: "/mnt/a b", Extensions: []string{"e"}}}, usr...),
		},
	} {
		got, err := test.e.Merged(t.Context(), test.k)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(layer.Hierarchy{}, "Since")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
		for _, h := range got {
			if info, err := w.root.Stat("." + h.Path); err == nil && !info.ModTime().Equal(h.Since) {
				t.Errorf("%s since %s, want %s", h.Path, h.Since, info.ModTime())
			}
		}
	}
}

func TestMergedNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for _, k := range extension.Kinds() {
		if got, err := w.engine(nil).Running().Merged(t.Context(), k); err != nil || got != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestMergedErrors(t *testing.T) {
	t.Parallel()
	sysext := extension.Sysext()
	for _, test := range []struct {
		name, hierarchies, want string
		spoil                   func(w *world)
	}{
		{"relative hierarchy", "usr", "no hierarchy", nil},
		{"root for a hierarchy", "/", "no hierarchy", nil},
		{"hierarchy that leads out", "/usr/../..", "no hierarchy", nil},
		{"empty hierarchy", "/usr::/opt", `names "", which is no hierarchy`, nil},
		{"endless hierarchies", "/x" + manyHierarchies(), "too many", nil},
		{"no list", "", `merged into "/usr"`, func(w *world) {
			w.merge(sysext, "usr", "a\n", false)
			if err := w.root.Remove("usr/.systemd-sysext/extensions"); err != nil {
				t.Error(err)
			}
		}},
		{"huge list", "", "at most 131072", func(w *world) { w.merge(sysext, "usr", strings.Repeat("a\n", 1<<17), false) }},
		{"folder for a device", "", "usr", func(w *world) { w.write("usr/.systemd-sysext/dev/x", "") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, false)
			if test.spoil != nil {
				test.spoil(w)
			}
			got, err := w.engine(map[string]string{"SYSTEMD_SYSEXT_HIERARCHIES": test.hierarchies}).Merged(t.Context(), sysext)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v; want an error with %q", got, err, test.want)
			}
		})
	}
}

// TestMergedMeanwhile looks while somebody else merges and unmerges.
func TestMergedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.merge(extension.Sysext(), "usr", "a\n", false)
	e, done := w.engine(nil), make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		here, away := "usr/.systemd-sysext", "usr/away"
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := w.root.Rename(here, away); err != nil {
				t.Error(err)
				return
			}
			here, away = away, here
			time.Sleep(50 * time.Microsecond)
		}
	})
	for range 500 {
		if _, err := e.Merged(t.Context(), extension.Sysext()); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	other.Wait()
}

func manyHierarchies() string {
	var b strings.Builder
	for i := range 300 {
		b.WriteString(":/h" + strings.Repeat("i", i))
	}
	return b.String()
}

func TestOverlaysOf(t *testing.T) {
	t.Parallel()
	const text = `1 2 0:1 / /ext4 rw - ext4 sysext rw
2 2 0:2 / /usr ro - overlay sysext ro
3 2 0:3 / /etc ro - overlay confext ro
4 2 0:4 / /srv ro master:1 shared:2 - overlay sysext ro
5 2 0:5 / /bad\04 ro - overlay sysext ro
6 2 0:6 / /bad\999 ro - overlay sysext ro
7 2 0:7 / /tab\011and\134 ro - overlay sysext ro
8 2 0:8 /short - overlay sysext
9 2 0:9 / /no-separator ro overlay sysext ro
`
	if diff := cmp.Diff([]string{"/usr", "/srv", "/tab\tand\\"}, layer.OverlaysOf(text, "sysext")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzMountInfo feeds what the kernel says, which never breaks its own rules.
func FuzzMountInfo(f *testing.F) {
	f.Add("203 49 0:59 / /usr ro,nodev,relatime shared:63 - overlay sysext ro,lowerdir=/x\n")
	f.Add("204 49 0:60 / /mnt/a\\040b\\ ro - overlay sysext ro\n1 - overlay sysext")
	f.Fuzz(func(t *testing.T, text string) {
		points := layer.OverlaysOf(text, "sysext")
		if len(points) > strings.Count(text, "overlay sysext") {
			t.Fatalf("got %q", points)
		}
	})
}
