package layer_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/layer"
)

// propagations are what the mount around a hierarchy can have.
func propagations() map[string]uintptr {
	return map[string]uintptr{"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED}
}

// TestNative merges, refreshes and unmerges folders.
func TestNative(t *testing.T) {
	if !alone(t) {
		return
	}
	for name, propagation := range propagations() {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, propagation)
			before := h.mounts()
			h.extension("one", map[string]string{"usr/bin/tool": "one's tool", "usr/bin/one": "one"})
			h.extension("two_2.0", map[string]string{"usr/bin/tool": "two's tool", "opt/two/file": "two"})

			r := h.merge()
			if diff := cmp.Diff([]string{"/opt", "/usr"}, paths(r.Merged)); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
			for file, want := range map[string]string{
				"usr/bin/tool": "two's tool", "usr/bin/one": "one", "opt/two/file": "two", "usr/share/doc/readme": "host's readme",
				"usr/.systemd-sysext/extensions": "one\ntwo_2.0\n", "opt/.systemd-sysext/extensions": "one\ntwo_2.0\n",
				"usr/.systemd-sysext/dev": h.at("usr").Device.String() + "\n",
			} {
				if got := h.read(file); got != want {
					t.Errorf("%s is %q, want %q", file, got, want)
				}
			}
			if usr := h.at("usr"); usr.Options != "ro,nodev,relatime" || usr.Source != "sysext" || usr.Type != "overlay" {
				t.Errorf("/usr is mounted as %+v", usr)
			}
			merged := h.mounts()

			var already *layer.MergedError
			if _, err := h.do("merge", layer.RunOptions{}); !errors.As(err, &already) || already.Path != "/opt" {
				t.Errorf("merged twice: %v", err)
			}
			if r = h.refresh(); !r.Unchanged {
				t.Error("a refresh without a change did something")
			}
			if diff := cmp.Diff(merged, h.mounts()); diff != "" {
				t.Errorf("a refresh without a change (-before +after):\n%s", diff)
			}

			h.extension("three", map[string]string{"usr/bin/three": "three"})
			if r = h.refresh(); r.Unchanged || h.read("usr/bin/three") != "three" || h.read("usr/bin/tool") != "two's tool" {
				t.Errorf("after a refresh: %+v", r)
			}
			if len(h.mounts()) != len(merged) {
				t.Errorf("mounts after a refresh: %+v", h.mounts())
			}
			r, err := h.do("refresh", layer.RunOptions{Always: true})
			if err != nil || r.Unchanged {
				t.Errorf("%+v, %v", r, err)
			}

			r = h.unmerge()
			if diff := cmp.Diff([]string{"/opt", "/usr"}, r.Unmerged); diff != "" {
				t.Errorf("unmerged (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, h.mounts()); diff != "" {
				t.Errorf("after the unmerge (-want +got):\n%s", diff)
			}
			if got := h.read("usr/bin/tool"); got != "host's tool" {
				t.Errorf("the host's tool is %q", got)
			}
			if r := h.unmerge(); len(r.Unmerged) != 0 {
				t.Errorf("unmerged twice: %v", r.Unmerged)
			}
		})
	}
}

func paths(all []layer.Hierarchy) []string {
	var names []string
	for _, h := range all {
		names = append(names, h.Path)
	}
	return names
}
