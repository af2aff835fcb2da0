package layer_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/mount"
)

// TestNativeSubmounts: what is mounted below a hierarchy stays there through all of
// it, also what was mounted meanwhile.
func TestNativeSubmounts(t *testing.T) {
	if !alone(t) {
		return
	}
	for name, propagation := range propagations() {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, propagation)
			tmpfs := func(at string) {
				h.check(unix.Mount("sub", h.path(at), "tmpfs", 0, ""))
				h.write(at+"/file", at)
			}
			for _, at := range []string{"usr/local", "usr/share/deep", "usr/lib/later"} {
				h.write(at+"/", "")
			}
			tmpfs("usr/local")
			h.write("usr/local/inner/", "")
			tmpfs("usr/local/inner")
			tmpfs("usr/share/deep")
			before := h.mounts()
			h.extension("one", map[string]string{"usr/bin/one": "one", "usr/local/hidden": "hidden", "usr/share/mine/": ""})
			h.merge()
			see := func(when string, there ...string) {
				for _, at := range there {
					if got := h.read(at + "/file"); got != at {
						t.Errorf("%s, below %s there is %q", when, at, got)
					}
				}
			}
			see("merged", "usr/local", "usr/local/inner", "usr/share/deep")
			if got := h.read("usr/local/hidden"); got == "hidden" {
				t.Error("an extension shows through what is mounted")
			}
			h.write("usr/local/written", "written")
			tmpfs("usr/lib/later")
			tmpfs("usr/share/mine")
			h.extension("two", map[string]string{"usr/bin/two": "two"})
			h.refresh()
			see("refreshed", "usr/local", "usr/local/inner", "usr/share/deep", "usr/lib/later", "usr/share/mine")
			r := h.unmerge()
			see("unmerged", "usr/local", "usr/local/inner", "usr/share/deep", "usr/lib/later")
			if h.read("usr/local/written") != "written" {
				t.Error("what was written to a submount is gone")
			}
			if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Text, "usr/share/mine") {
				t.Errorf("the lost mount is not named: %+v", r.Warnings)
			}
			h.check(unix.Unmount(h.path("usr/lib/later"), 0))
			if diff := cmp.Diff(before, h.mounts()); diff != "" {
				t.Errorf("after the unmerge (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNativeInside: folders and images inside of the hierarchy that they extend are
// merged, and refreshed as often as one likes: what lies beneath the merge is what
// the next one is made of.
func TestNativeInside(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, mounted := range []bool{false, true} {
		t.Run("mounted "+strconv.FormatBool(mounted), func(t *testing.T) {
			h := newHost(t, unix.MS_SHARED)
			if mounted { // /usr is a file system of its own
				h.check(unix.Mount("usr", h.path("usr"), "tmpfs", 0, "mode=755"))
				h.write("usr/bin/tool", "host's tool")
			}
			h.more = func(r *layer.Request) { r.Old = true }
			h.folder("usr/lib/extensions/folder", "folder", map[string]string{"usr/bin/folder": "folder", "usr/lib/extensions/nested/usr/bin/nested": "nested"})
			h.folder("usr/local/lib/extensions/other", "other", map[string]string{"usr/bin/other": "other"})
			h.naked("image", "erofs", map[string]string{"usr/bin/image": "image"})
			h.write("usr/lib/extensions/image.raw", h.read("var/lib/extensions/image.raw"))
			h.check(os.Remove(h.path("var/lib/extensions/image.raw")))
			before := h.mounts()
			h.merge()
			for n := range 6 {
				for _, name := range []string{"folder", "other", "image"} {
					if got := h.read("usr/bin/" + name); got != name {
						t.Fatalf("round %d: %s is %q: %+v", n, name, got, h.item(name))
					}
				}
				if r := h.refresh(); !r.Unchanged {
					t.Errorf("round %d: a refresh without a change did something", n)
				}
				if _, err := h.do("refresh", layer.RunOptions{Always: true}); err != nil {
					t.Fatal(err)
				}
				if loops := h.loops(); len(loops) > 3 && !mounted {
					t.Errorf("round %d: loop devices pile up: %v", n, loops)
				}
			}
			h.unmerge()
			if diff := cmp.Diff(before, h.mounts()); diff != "" {
				t.Errorf("after the unmerge (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNativeOtherHierarchies: a refresh with other hierarchies unmerges what is none
// any more, and merges what lies around or within.
func TestNativeOtherHierarchies(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.write("usr/share/host", "host")
	h.extension("one", map[string]string{"usr/bin/one": "one", "usr/share/one": "one", "opt/one": "one"})
	sets := [][]string{{"/usr", "/opt"}, {"/usr/bin", "/usr/share"}, {"/usr"}, {"/opt", "/usr/share"}, {"/usr/bin"}}
	for _, set := range sets {
		h.more = func(r *layer.Request) { r.Hierarchies = set }
		r := h.refresh()
		slices.Sort(set)
		if diff := cmp.Diff(set, paths(r.Merged)); diff != "" {
			t.Errorf("%v: merged (-want +got):\n%s", set, diff)
		}
		if len(h.mounts()) != 1+len(set) {
			t.Errorf("%v: %+v", set, h.mounts())
		}
		for file, in := range map[string][]string{"usr/bin/one": {"/usr", "/usr/bin"}, "usr/share/one": {"/usr", "/usr/share"}, "opt/one": {"/opt"}} {
			want := slices.ContainsFunc(in, func(at string) bool { return slices.Contains(set, at) })
			if (h.read(file) == "one") != want {
				t.Errorf("%v: %s is %q", set, file, h.read(file))
			}
		}
		if h.read("usr/share/host") != "host" {
			t.Errorf("%v: the host's file is gone", set)
		}
	}
	h.unmerge()
	if len(h.mounts()) != 1 {
		t.Errorf("mounts are left: %+v", h.mounts())
	}
}

// TestNativeConfextOfSysext: a confext that a sysext has brought is merged over it.
func TestNativeConfextOfSysext(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_SHARED)
	h.extension("sys", map[string]string{
		"usr/lib/confexts/conf/etc/conf.d/file": "conf", "usr/lib/confexts/conf/etc/extension-release.d/extension-release.conf": "ID=_any\n",
	})
	h.merge()
	h.kind = extension.Confext()
	h.merge()
	if got := h.read("etc/conf.d/file"); got != "conf" {
		t.Errorf("the confext's file is %q", got)
	}
	h.kind = extension.Sysext()
	if _, err := h.do("refresh", layer.RunOptions{Always: true}); err != nil {
		t.Error(err)
	}
	h.kind = extension.Confext()
	if _, err := h.do("refresh", layer.RunOptions{Always: true}); err != nil || h.read("etc/conf.d/file") != "conf" {
		t.Errorf("%v, %q", err, h.read("etc/conf.d/file"))
	}
}

// TestNativeLimits: as many extensions as the kernel takes, with names as long as
// can be, and one more.
func TestNativeLimits(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	long := strings.Repeat("a-very-long-name", 14)
	name := func(n int) string { return fmt.Sprintf("%s:,%03d", long, n) }
	add := func(n int) {
		h.extension(name(n), map[string]string{fmt.Sprintf("usr/bin/%d", n): name(n)})
	}
	for n := range 200 {
		add(n)
	}
	h.refresh()
	for n := range 200 {
		if got := h.read(fmt.Sprintf("usr/bin/%d", n)); got != name(n) {
			t.Fatalf("extension %d is %q", n, got)
		}
	}
	// The marker and the host's folder are layers, too.
	for n := range mount.MaxLayers - 2 {
		add(n)
	}
	h.refresh()
	if got := h.read("usr/bin/497"); got != name(497) {
		t.Errorf("the last extension is %q", got)
	}
	add(498)
	_, err := h.do("refresh", layer.RunOptions{})
	var limit *mount.LimitError
	if !errors.As(err, &limit) || limit.Limit != mount.Layers {
		t.Errorf("got %v", err)
	}
	if got := h.read("usr/bin/497"); got != name(497) {
		t.Errorf("what was merged is gone: %q", got)
	}
}

// TestNativeDepth: a host that is an overlay itself is merged into, without the folder
// in it that would need one more; one that is an overlay on an overlay is named.
func TestNativeDepth(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/one": "one"})
	h.folder("usr/local/lib/extensions/inside", "inside", map[string]string{"usr/bin/inside": "inside"})
	h.more = func(r *layer.Request) { r.Old = true }
	if h.merge(); h.read("usr/bin/inside") != "inside" {
		t.Error("a folder of the host's own file system is not merged")
	}
	h.unmerge()
	for n := range 2 {
		lower := h.path(fmt.Sprintf("lower%d", n))
		h.check(os.MkdirAll(lower, 0o755))
		h.check(unix.Mount("root", h.path("usr"), "overlay", unix.MS_RDONLY, "lowerdir="+h.path("usr")+":"+lower))
		_, err := h.do("merge", layer.RunOptions{})
		if n == 0 {
			if err != nil || h.read("usr/bin/one") != "one" || h.read("usr/bin/tool") != "host's tool" {
				t.Fatalf("%v, %q", err, h.read("usr/bin/one"))
			}
			if x := h.item("inside"); x.State != layer.Refused || !strings.Contains(x.Reason, "an overlay already") {
				t.Errorf("%+v", x)
			}
			if _, err := h.do("refresh", layer.RunOptions{Always: true}); err != nil {
				t.Error(err)
			}
			h.unmerge()
			continue
		}
		var limit *mount.LimitError
		if !errors.As(err, &limit) || limit.Limit != mount.Depth || !strings.Contains(err.Error(), "/usr") {
			t.Errorf("got %v", err)
		}
	}
}

// TestNativeNames: hierarchies whose names end as others do, and merges below other
// roots, are told apart.
func TestNativeNames(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.running = true
	h.extension("one", map[string]string{"usr/bin/one": "one", "srv/usr/one": "one"})
	h.more = func(r *layer.Request) { r.Hierarchies = []string{"/srv/usr", "/usr"} }
	h.merge()
	other := &host{t: t, dir: h.path("sysroot"), kind: h.kind}
	other.write("etc/os-release", "ID=debian\n")
	other.write("usr/bin/tool", "other's tool")
	other.write("run/", "")
	other.write("var/tmp/", "")
	other.extension("two", map[string]string{"usr/bin/two": "two"})
	other.merge()
	if r := h.refresh(); !r.Unchanged || len(r.Merged) != 2 {
		t.Errorf("%+v", r)
	}
	if r := h.unmerge(); !slices.Equal(r.Unmerged, []string{"/srv/usr", "/usr"}) || other.read("usr/bin/two") != "two" {
		t.Errorf("%+v", r)
	}
	other.unmerge()
	if len(h.mounts()) != 1 {
		t.Errorf("mounts are left: %+v", h.mounts())
	}
}
