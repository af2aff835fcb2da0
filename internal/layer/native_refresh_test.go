package layer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/layer"
	"inlay/internal/mount"
)

// TestNativeNeverMisses reads the host's files, an extension's and a submount's all
// the time while a hundred refreshes go by: none is ever missed.
func TestNativeNeverMisses(t *testing.T) {
	if !alone(t) {
		return
	}
	if !mount.Detect().Beneath {
		t.Skip("this kernel cannot mount beneath")
	}
	for name, propagation := range propagations() {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, propagation)
			h.write("usr/local/", "")
			h.check(unix.Mount("local", h.path("usr/local"), "tmpfs", 0, ""))
			h.write("usr/local/file", "local")
			h.naked("always", "erofs", map[string]string{"usr/bin/always": "always"})
			h.extension("folder", map[string]string{"usr/bin/folder": "folder"})
			h.merge()
			files := []string{"usr/bin/tool", "usr/share/doc/readme", "usr/local/file", "usr/bin/always", "usr/bin/folder"}
			var stop atomic.Bool
			var reads atomic.Int64
			missed := make(chan string, 1)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for !stop.Load() {
					for _, file := range files {
						if _, err := os.ReadFile(h.path(file)); err != nil {
							select {
							case missed <- err.Error():
							default:
							}
						}
						reads.Add(1)
					}
				}
			}()
			rounds := 100
			if propagation == unix.MS_PRIVATE {
				rounds = 25
			}
			for n := range rounds {
				h.write("var/lib/extensions/new/"+h.kind.ReleaseFile("new"), "ID=_any\n")
				h.write(fmt.Sprintf("var/lib/extensions/new/usr/bin/new%d", n), "new")
				r, err := h.do("refresh", layer.RunOptions{Always: true})
				if err != nil || r.Unchanged || len(r.Warnings) > 0 {
					t.Fatalf("%+v, %v", r, err)
				}
				if got := h.read(fmt.Sprintf("usr/bin/new%d", n)); got != "new" {
					t.Fatalf("refresh %d: %q", n, got)
				}
			}
			stop.Store(true)
			<-done
			select {
			case what := <-missed:
				t.Error("missed: ", what)
			default:
			}
			if reads.Load() < 1000 {
				t.Errorf("only %d reads", reads.Load())
			}
			runtime.GC() // of the folders that plans have looked at
			h.unmerge()
			h.noLoops()
		})
	}
}

// TestNativeFailing: a refresh that fails, wherever it does, leaves exactly the
// mounts that were there, no device, no folder and no other report.
func TestNativeFailing(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, c := range []struct {
		name string
		make func(h *host)
	}{
		{"no room for a hierarchy", func(h *host) {
			h.extension("new", map[string]string{"srv/new": "new", "usr/bin/new": "new"})
			h.more = func(r *layer.Request) { r.Hierarchies = []string{"/usr", "/srv", "/proc-like/x"} }
			h.extension("other", map[string]string{"proc-like/x/y": "new"})
			h.check(unix.Mount("", h.dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
		}},
		{"a mutable folder of another mode", func(h *host) {
			h.write("var/lib/extensions.mutable/usr/", "")
			h.check(os.Chmod(h.path("var/lib/extensions.mutable/usr"), 0o700))
			h.write("var/lib/extensions.mutable/opt/", "")
			h.mutable(layer.Auto)
		}},
		{"too many", func(h *host) {
			for n := range 501 {
				h.extension(fmt.Sprintf("e%03d", n), map[string]string{"usr/bin/e": "e"})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, unix.MS_SHARED)
			h.naked("old", "erofs", map[string]string{"usr/bin/old": "old", "opt/old": "old"})
			h.check(unix.Mount("tmpfs", h.path("run"), "tmpfs", 0, ""))
			h.merge()
			mounts, report := h.mounts(), h.read("run/inlay/layer-sysext.json")
			c.make(h)
			before := h.tree()
			loops := h.loops()
			r, err := h.do("refresh", layer.RunOptions{})
			if err == nil {
				t.Fatalf("it didn't fail: %+v", r)
			}
			after := h.mounts()
			if c.name == "no room for a hierarchy" {
				h.check(unix.Mount("", h.dir, "", unix.MS_REMOUNT|unix.MS_BIND, ""))
				after = h.mounts()
			}
			if diff := cmp.Diff(mounts, after); diff != "" {
				t.Errorf("mounts (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(before, h.tree()); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(report, h.read("run/inlay/layer-sysext.json")); diff != "" {
				t.Errorf("the report (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(loops, h.loops()); diff != "" {
				t.Errorf("loop devices (-before +after):\n%s", diff)
			}
			if h.read("usr/bin/old") != "old" || h.read("opt/old") != "old" {
				t.Error("what was merged is gone")
			}
			h.unmerge()
			h.noLoops()
		})
	}
}

// tree returns the paths of the host's own file system.
func (h *host) tree() []string {
	h.t.Helper()
	var all []string
	h.check(filepath.WalkDir(h.dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && !strings.HasPrefix(path, h.path("usr/")) && !strings.HasPrefix(path, h.path("opt/")) && !strings.HasPrefix(path, h.path("var/lib/extensions/")) {
			all = append(all, path)
		}
		return nil
	}))
	return all
}

// TestNativeKernels merges, refreshes and unmerges by the calls of older kernels.
func TestNativeKernels(t *testing.T) {
	if !alone(t) {
		return
	}
	have := mount.Detect()
	for _, k := range []struct {
		name string
		mount.Features
	}{
		{"6.15", mount.Features{Trees: true, Setattr: true, Beneath: true, LowerPlus: true, LowerFile: true, Detached: true}},
		{"6.8", mount.Features{Trees: true, Setattr: true, Beneath: true, LowerPlus: true}},
		{"6.5", mount.Features{Trees: true, Setattr: true, Beneath: true}},
		{"5.12", mount.Features{Trees: true, Setattr: true}},
		{"5.2", mount.Features{Trees: true}},
		{"4.15", mount.Features{}},
	} {
		for name, propagation := range propagations() {
			t.Run(k.name+" "+name, func(t *testing.T) {
				if !have.Detached {
					t.Skipf("the running kernel has %+v", have)
				}
				h := newHost(t, propagation)
				h.features = &k.Features
				h.write("usr/local/", "")
				h.check(unix.Mount("local", h.path("usr/local"), "tmpfs", 0, ""))
				h.write("usr/local/file", "local")
				before := h.mounts()
				h.naked("image", "erofs", map[string]string{"usr/bin/tool": "image's tool"})
				h.extension("folder", map[string]string{"usr/bin/folder": "folder", "opt/folder": "folder"})
				for _, mode := range []layer.Mode{layer.Immutable, layer.Mutable, layer.Ephemeral} {
					h.mutable(mode)
					h.merge()
					merged := h.mounts()
					for file, want := range map[string]string{"usr/bin/tool": "image's tool", "usr/bin/folder": "folder", "opt/folder": "folder", "usr/local/file": "local"} {
						if got := h.read(file); got != want {
							t.Errorf("%s: %s is %q, want %q", mode, file, got, want)
						}
					}
					r, err := h.do("refresh", layer.RunOptions{Always: true})
					if !k.Trees {
						if err == nil || !strings.Contains(err.Error(), "5.2") {
							t.Errorf("%s: refreshed: %v", mode, err)
						}
					} else if err != nil || len(h.mounts()) != len(merged) || h.read("usr/bin/tool") != "image's tool" || h.read("usr/local/file") != "local" {
						t.Errorf("%s: %v, %+v", mode, err, h.mounts())
					} else if (len(r.Warnings) == 0) != k.Beneath {
						t.Errorf("%s: the gap is named: %+v", mode, r.Warnings)
					}
					h.unmerge()
					if diff := cmp.Diff(before, h.mounts()); diff != "" {
						t.Errorf("%s: after the unmerge (-want +got):\n%s", mode, diff)
					}
				}
				h.noLoops()
			})
		}
	}
}
