package layer_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/mount"
	"inlay/test/debian"
	"inlay/test/need"
)

// guestVariable tells a test binary that its root folder is a Debian that it may
// change.
const guestVariable = "INLAY_LAYER_GUEST"

// guest runs the test that calls it once more, in a Debian root with systemd's
// tools, and reports true there.
func guest(t *testing.T) bool {
	t.Helper()
	if os.Getenv(guestVariable) != "" {
		return true
	}
	need.Root(t)
	need.FileSystem(t, "overlay")
	t.Parallel()
	cmd := debian.Tools(t).Command(t.Context(), t, map[string]string{os.Args[0]: "/layer.test"},
		"/layer.test", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(cmd.Env, guestVariable+"=1")
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || !strings.Contains(text, "--- PASS: "+t.Name()+" ") {
		t.Errorf("in a Debian root: %v\n%s", err, text)
	} else if testing.Verbose() {
		t.Log(text)
	}
	return false
}

// sysext runs systemd's own tool, and returns what it prints.
func (h *host) sysext(args ...string) string {
	h.t.Helper()
	out, err := exec.CommandContext(h.t.Context(), h.kind.Tool, args...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s %v: %v\n%s", h.kind.Tool, args, err, out)
	}
	return string(out)
}

// status is what systemd's tool tells.
type status struct {
	Hierarchy  string `json:"hierarchy"`
	Extensions any    `json:"extensions"`
	Since      *int64 `json:"since"`
}

// agree compares systemd's status with ours, and what is merged with what is
// wanted.
func (h *host) agree(when string, want map[string][]string) {
	h.t.Helper()
	var theirs []status
	h.check(json.Unmarshal([]byte(h.sysext("status", "--json=short")), &theirs))
	ours, err := h.engine().Merged(h.t.Context(), h.kind)
	h.check(err)
	got := map[string][]string{}
	for _, m := range ours {
		got[m.Path] = m.Extensions
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("%s: merged (-want +got):\n%s", when, diff)
	}
	for _, s := range theirs {
		names := []any{}
		list, merged := got[s.Hierarchy]
		for _, name := range list {
			names = append(names, name)
		}
		at := slices.IndexFunc(ours, func(m layer.Hierarchy) bool { return m.Path == s.Hierarchy })
		switch {
		case !merged:
			if s.Since != nil || s.Extensions != "none" && !cmp.Equal(s.Extensions, []any{}) {
				h.t.Errorf("%s: systemd takes %q for merged: %+v", when, s.Hierarchy, s)
			}
		case !cmp.Equal(s.Extensions, any(names)) || s.Since == nil || *s.Since != ours[at].Since.UnixMicro():
			h.t.Errorf("%s: systemd says %+v, we say %+v", when, s, ours[at])
		}
	}
}

// TestNativeAndSystemd: each takes the merges of the other for its own.
func TestNativeAndSystemd(t *testing.T) {
	if !guest(t) {
		return
	}
	for _, kind := range extension.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			h := &host{t: t, dir: "/", kind: kind}
			inside := kind.Mergeable[0]
			h.folder("run/"+strings.TrimPrefix(kind.RunFolder, "run/")+"/one", "one", map[string]string{inside + "/inlay-test/one": "one"})
			h.folder(kind.RunFolder+"/two_1.0", "two_1.0", map[string]string{inside + "/inlay-test/two": "two"})
			h.agree("before", map[string][]string{})
			before := mountsOf(t)
			want := map[string][]string{"/" + inside: {"one", "two_1.0"}}
			for _, mode := range []layer.Mode{layer.Immutable, layer.Ephemeral} {
				h.mutable(mode)
				if mode == layer.Ephemeral && kind.Name == "sysext" {
					want["/opt"] = []string{"one", "two_1.0"}
				}
				h.merge()
				h.agree("merged by us", want)
				flags := h.flags()
				if out := h.sysext("unmerge"); !strings.Contains(out, "Unmerged '/"+inside+"'") {
					t.Errorf("systemd unmerges: %s", out)
				}
				h.agree("unmerged by systemd", map[string][]string{})
				if diff := cmp.Diff(before, mountsOf(t)); diff != "" {
					t.Errorf("after systemd's unmerge (-want +got):\n%s", diff)
				}

				// 257 leaves a hierarchy alone that nothing is in, in any mode.
				theirs := map[string][]string{"/" + inside: want["/"+inside]}
				if newest(h.sysext("--version")) {
					theirs = want
				}
				h.sysext("merge", "--mutable="+string(mode))
				h.agree("merged by systemd", theirs)
				if diff := cmp.Diff(h.flags()["/"+inside], flags["/"+inside]); diff != "" {
					t.Errorf("systemd mounts otherwise than we do (-systemd +we):\n%s", diff)
				}
				r := h.refresh()
				if r.Unchanged != newest(h.sysext("--version")) {
					t.Errorf("our refresh of systemd's merge: %+v", r)
				}
				h.agree("refreshed by us", want)
				if out := h.sysext("refresh", "--mutable="+string(mode)); newest(h.sysext("--version")) && !strings.Contains(out, "no change was found") {
					t.Errorf("systemd's refresh of our merge: %s", out)
				}
				h.unmerge()
				h.agree("unmerged by us", map[string][]string{})
				if diff := cmp.Diff(before, mountsOf(t)); diff != "" {
					t.Errorf("after our unmerge (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// newest says whether systemd writes down the origin of a merge.
func newest(version string) bool { return strings.HasPrefix(version, "systemd 26") }

// flags are the options of what is merged, by mount point.
func (h *host) flags() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	for _, m := range mountsOf(h.t) {
		if m.Source == h.kind.Name {
			all[m.MountPoint] = m.Options + " " + m.Propagation.String()
		}
	}
	return all
}

func mountsOf(t *testing.T) []mount.Info {
	t.Helper()
	all, err := mount.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b mount.Info) int { return a.ID - b.ID })
	return all
}
