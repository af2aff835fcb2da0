package layer_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/layer"
)

// stored is what the folder of mutability has: its paths.
func (h *host) stored() []string {
	h.t.Helper()
	var all []string
	base := h.path("var/lib/extensions.mutable")
	_ = filepath.WalkDir(base, func(path string, _ os.DirEntry, _ error) error {
		if rel, err := filepath.Rel(base, path); err == nil && rel != "." && !strings.Contains(rel, "workdir/") {
			all = append(all, rel)
		}
		return nil
	})
	slices.Sort(all)
	return all
}

func (h *host) mutable(m layer.Mode) { h.more = func(r *layer.Request) { r.Mutable = m } }

// TestNativeMutable holds each mode to what systemd 262 does.
func TestNativeMutable(t *testing.T) {
	if !alone(t) {
		return
	}
	const (
		readOnly = "ro,nodev,relatime"
		writable = "rw,nodev,noatime"
	)
	for _, c := range []struct {
		mode layer.Mode
		// usr says that there is a mutable folder for /usr.
		usr bool
		// options of /usr and /opt, for which no extension brings anything.
		usrOptions, optOptions string
		// imported says that the content of the mutable folder shows.
		imported bool
		// merged and after are what the folder of mutability has then.
		merged, after []string
		origin        string
	}{
		{mode: layer.Immutable, usr: true, usrOptions: readOnly, merged: []string{"usr", "usr/kept"}, origin: `"mode": "no"`},
		{mode: layer.Auto, usr: true, usrOptions: writable, optOptions: readOnly, imported: true, merged: []string{".systemd-usr-workdir", "usr", "usr/kept", "usr/written"}, after: []string{"usr", "usr/kept", "usr/written"}, origin: `"/usr": "/var/lib/extensions.mutable/usr"`},
		{mode: layer.Auto, usrOptions: readOnly, optOptions: readOnly, origin: `"mode": "auto"`},
		{mode: layer.Mutable, usrOptions: writable, optOptions: writable, merged: []string{".systemd-opt-workdir", ".systemd-usr-workdir", "opt", "usr", "usr/written"}, after: []string{"opt", "usr", "usr/written"}, origin: `"/opt": "/var/lib/extensions.mutable/opt"`},
		{mode: layer.Import, usr: true, usrOptions: readOnly, optOptions: readOnly, imported: true, merged: []string{"usr", "usr/kept"}, origin: `"mode": "import"`},
		{mode: layer.Import, usrOptions: readOnly, optOptions: readOnly, origin: `"mode": "import"`},
		{mode: layer.Ephemeral, usr: true, usrOptions: writable, optOptions: writable, merged: []string{"usr", "usr/kept"}, origin: `"/usr": "/run/systemd/sysext/usr"`},
		{mode: layer.EphemeralImport, usr: true, usrOptions: writable, optOptions: writable, imported: true, merged: []string{"usr", "usr/kept"}, origin: `"mode": "ephemeral-import"`},
	} {
		name := string(c.mode)
		if !c.usr {
			name += " without a folder"
		}
		t.Run(name, func(t *testing.T) {
			h := newHost(t, unix.MS_SHARED)
			h.mutable(c.mode)
			h.extension("one", map[string]string{"usr/bin/one": "one"})
			h.check(os.Chmod(h.path("usr"), 0o751))
			if c.usr {
				h.write("var/lib/extensions.mutable/usr/kept", "kept")
				h.check(os.Chmod(h.path("var/lib/extensions.mutable/usr"), 0o751))
			}
			h.merge()
			if got := h.at("usr").Options; got != c.usrOptions {
				t.Errorf("/usr is mounted %s, want %s", got, c.usrOptions)
			}
			opt := ""
			if _, err := os.Stat(h.path("opt/.systemd-sysext")); err == nil {
				opt = h.at("opt").Options
			}
			if opt != c.optOptions {
				t.Errorf("/opt is mounted %q, want %q", opt, c.optOptions)
			}
			err := os.WriteFile(h.path("usr/written"), []byte("written"), 0o644)
			if (err == nil) != (c.usrOptions == writable) {
				t.Errorf("writing: %v", err)
			}
			if got := h.read("usr/kept") == "kept"; got != c.imported {
				t.Errorf("what is in the mutable folder shows: %v", got)
			}
			if h.read("usr/bin/one") != "one" || h.read("usr/bin/tool") != "host's tool" {
				t.Error("not all is merged")
			}
			if info, err := os.Stat(h.path("usr")); err != nil || info.Mode().Perm() != 0o751 {
				t.Errorf("/usr has the mode %v, %v", info.Mode(), err)
			}
			if err := os.WriteFile(h.path("usr/.systemd-sysext/dev"), nil, 0o644); err == nil {
				t.Error("the marker can be written to")
			}
			work := h.read("usr/.systemd-sysext/work_dir")
			if want := "var/lib/extensions.mutable/.systemd-usr-workdir\n"; (work == want) != slices.Contains(c.merged, ".systemd-usr-workdir") {
				t.Errorf("the marker's work folder is %q", work)
			}
			if got := h.read("usr/.systemd-sysext/origin"); !strings.Contains(got, c.origin) {
				t.Errorf("the marker's origin is %s, want it to have %s", got, c.origin)
			}
			if diff := cmp.Diff(c.merged, h.stored()); diff != "" {
				t.Errorf("merged, the folder of mutability has (-want +got):\n%s", diff)
			}
			if r := h.refresh(); !r.Unchanged {
				t.Error("a refresh without a change did something")
			}
			if _, err := h.do("refresh", layer.RunOptions{Always: true}); err != nil {
				t.Error(err)
			}
			kept := c.mode == layer.Auto || c.mode == layer.Mutable
			if got := h.read("usr/written") == "written"; got != (kept && c.usrOptions == writable) {
				t.Errorf("what was written is there after a refresh: %v", got)
			}
			if kept && c.usrOptions == writable {
				// The work folder is another one, as the old merge may still use its own.
				work := "var/lib/extensions.mutable/.systemd-usr.next-workdir"
				if got := h.read("usr/.systemd-sysext/work_dir"); got != work+"\n" {
					t.Errorf("after a refresh, the marker's work folder is %q", got)
				}
				if _, err := os.Stat(h.path(work)); err != nil {
					t.Error(err)
				}
				h.check(os.Chmod(h.path("usr/bin/tool"), 0o700)) // copies it up
				h.check(os.Remove(h.path("var/lib/extensions.mutable/usr/bin/tool")))
				h.check(os.Remove(h.path("var/lib/extensions.mutable/usr/bin")))
			}
			h.unmerge()
			if c.after == nil {
				c.after = c.merged
			}
			if diff := cmp.Diff(c.after, h.stored()); diff != "" {
				t.Errorf("unmerged, the folder of mutability has (-want +got):\n%s", diff)
			}
			if h.read("usr/written") == "written" || len(h.mounts()) != 1 {
				t.Errorf("the host is not as before: %+v", h.mounts())
			}
		})
	}
}

// TestNativeMutableRefused: what would not do is said, and nothing is merged.
func TestNativeMutableRefused(t *testing.T) {
	if !alone(t) {
		return
	}
	link := func(target string) func(h *host) {
		return func(h *host) {
			h.write("var/lib/extensions.mutable/", "")
			h.check(os.Symlink(target, h.path("var/lib/extensions.mutable/usr")))
		}
	}
	for _, c := range []struct {
		name string
		mode layer.Mode
		make func(h *host)
		want string // "" merges
	}{
		{"another mode", layer.Auto, func(h *host) {
			h.write("var/lib/extensions.mutable/usr/", "")
			h.check(os.Chmod(h.path("var/lib/extensions.mutable/usr"), 0o700))
		}, "has the mode 0700"},
		{"another mode, made", layer.Mutable, func(h *host) {
			h.write("var/lib/extensions.mutable/usr/", "")
			h.check(os.Chmod(h.path("var/lib/extensions.mutable/usr"), 0o700))
		}, "has the mode 0700"},
		{"another mode, imported", layer.Import, func(h *host) {
			h.write("var/lib/extensions.mutable/usr/", "")
			h.check(os.Chmod(h.path("var/lib/extensions.mutable/usr"), 0o700))
		}, ""},
		{"a link to the hierarchy, imported", layer.Import, link("/usr"), "leads to the hierarchy"},
		{"a link to the hierarchy, imported for now", layer.EphemeralImport, link("/usr"), "leads to the hierarchy"},
		{"a link to nothing", layer.Auto, link("/nowhere"), ""},
		{"a link to nothing, imported", layer.Import, link("/nowhere"), ""},
		{"a link to nothing, made", layer.Mutable, link("/srv"), ""},
		{"another file system", layer.Auto, func(h *host) {
			h.write("var/lib/extensions.mutable/usr/", "")
			h.check(unix.Mount("x", h.path("var/lib/extensions.mutable/usr"), "tmpfs", 0, "mode=755"))
		}, "on another file system"},
		{"only to be read", layer.Mutable, func(h *host) {
			h.write("var/lib/extensions.mutable/", "")
			h.check(unix.Mount("x", h.path("var/lib/extensions.mutable"), "tmpfs", unix.MS_RDONLY, "mode=755"))
		}, "read-only file system"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, unix.MS_PRIVATE)
			h.extension("one", map[string]string{"usr/bin/one": "one"})
			c.make(h)
			before, stored := h.mounts(), h.stored()
			h.mutable(c.mode)
			_, err := h.do("merge", layer.RunOptions{})
			if c.want == "" {
				if err != nil || h.read("usr/bin/one") != "one" {
					t.Errorf("not merged: %v", err)
				}
				h.unmerge()
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || len(hint.Of(err)) == 0 && c.mode != layer.Mutable {
				t.Errorf("got %v %q, want %q", err, hint.Of(err), c.want)
			}
			if diff := cmp.Diff(before, h.mounts()); diff != "" {
				t.Errorf("what is left (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(stored, h.stored()); diff != "" && c.mode != layer.Mutable {
				t.Errorf("what is left (-before +after):\n%s", diff)
			}
		})
	}
}

// TestNativeMutableHost: a link from the mutable folder to the hierarchy has the
// host's own folder written to, above all extensions.
func TestNativeMutableHost(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/tool": "one's tool", "usr/bin/one": "one"})
	h.write("var/lib/extensions.mutable/", "")
	h.check(os.Symlink("/usr", h.path("var/lib/extensions.mutable/usr")))
	h.mutable(layer.Auto)
	h.merge()
	if h.read("usr/bin/tool") != "host's tool" || h.read("usr/bin/one") != "one" {
		t.Errorf("merged are %q and %q", h.read("usr/bin/tool"), h.read("usr/bin/one"))
	}
	h.write("usr/bin/written", "written")
	h.unmerge()
	if h.read("usr/bin/written") != "written" {
		t.Error("the host's folder was not written to")
	}
	if _, err := os.Stat(h.path(".systemd-usr-workdir")); err == nil {
		t.Error("the work folder is left")
	}
}

// TestNativeHierarchies: one that the host lacks is made and removed again; an empty
// one is no layer, and nothing else changes.
func TestNativeHierarchies(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, mode := range []layer.Mode{layer.Immutable, layer.Import, layer.Auto, layer.Ephemeral} {
		t.Run(string(mode), func(t *testing.T) {
			h := newHost(t, unix.MS_PRIVATE)
			h.more = func(r *layer.Request) {
				r.Mutable, r.Hierarchies = mode, []string{"/opt", "/usr", "/srv/deep/down", "/srv/none"}
			}
			h.extension("one", map[string]string{"usr/bin/one": "one", "srv/deep/down/file": "deep"})
			h.merge()
			if h.read("srv/deep/down/file") != "deep" || h.read("usr/bin/one") != "one" {
				t.Errorf("merged %q, %q", h.read("srv/deep/down/file"), h.read("usr/bin/one"))
			}
			if info, err := os.Stat(h.path("srv/deep/down")); err != nil || info.Mode().Perm() != 0o755 {
				t.Errorf("%v, %v", info, err)
			}
			if _, err := os.Stat(h.path("srv/none")); (err == nil) != (mode != layer.Immutable) {
				t.Errorf("a hierarchy without anything: %v", err)
			}
			if r := h.refresh(); !r.Unchanged {
				t.Error("a refresh without a change did something")
			}
			if r := h.unmerge(); len(r.Unmerged) < 2 || !slices.Contains(r.Unmerged, "/srv/deep/down") {
				t.Errorf("unmerged %v", r.Unmerged)
			}
			if _, err := os.Stat(h.path("srv")); err == nil {
				t.Error("what was made for the merge is left")
			}
			if len(h.mounts()) != 1 {
				t.Errorf("mounts are left: %+v", h.mounts())
			}
		})
	}
}

// TestNativeMutableUnreported: the work folder goes with the merge, also where there
// is no report of it: systemd writes none.
func TestNativeMutableUnreported(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/one": "one"})
	h.mutable(layer.Mutable)
	h.merge()
	h.check(os.Remove(h.path("run/inlay/layer-sysext.json")))
	h.unmerge()
	if diff := cmp.Diff([]string{"opt", "usr"}, h.stored()); diff != "" {
		t.Errorf("the folder of mutability has (-want +got):\n%s", diff)
	}
}

// TestNativeMutableLinks: the mutable folder is made where links to nothing lead, as
// they would be followed below the root.
func TestNativeMutableLinks(t *testing.T) {
	if !alone(t) {
		return
	}
	const folder = "var/lib/extensions.mutable/"
	for _, c := range []struct {
		name  string
		links map[string]string
		want  string
	}{
		{"one", map[string]string{folder + "usr": "/srv/"}, "srv"},
		{"beside it", map[string]string{folder + "usr": "kept"}, folder + "kept"},
		{"upwards", map[string]string{folder + "usr": "../kept"}, "var/lib/kept"},
		{"a chain", map[string]string{folder + "usr": "a", folder + "a": "/b", "b": "c"}, "c"},
		{"through a linked folder", map[string]string{"srv": "/data", folder + "usr": "/srv/kept"}, "data/kept"},
		{"upwards through a linked folder", map[string]string{"srv": "/data/deep", folder + "usr": "/srv/../kept"}, "data/kept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, unix.MS_PRIVATE)
			h.extension("one", map[string]string{"usr/bin/one": "one"})
			h.write("data/deep/", "")
			h.write(folder, "")
			for at, target := range c.links {
				h.check(os.Symlink(target, h.path(at)))
			}
			h.mutable(layer.Mutable)
			h.merge()
			h.write("usr/written", "written")
			if got := h.read(c.want + "/written"); got != "written" {
				t.Errorf("%s has %q", c.want, got)
			}
			h.unmerge()
		})
	}
}
