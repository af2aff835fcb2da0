package layer_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

// TestReport: what became of everything in the extension folders can be read until
// it is unmerged.
func TestReport(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_PRIVATE)
	h.extension("one", map[string]string{"usr/bin/one": "one", "opt/one": "one"})
	h.write("var/lib/extensions/other/"+h.kind.ReleaseFile("other"), "ID=fedora\n")
	h.write("var/lib/extensions/other/usr/bin/other", "other")
	h.write("var/lib/extensions/masked/", "")
	h.write("var/lib/extensions/readme.txt", "no extension")
	h.write("var/lib/extensions/empty.raw", "")
	root, err := os.OpenRoot(h.dir)
	h.check(err)
	defer root.Close()
	if r, err := layer.ReadReport(root, h.kind); r != nil || err != nil {
		t.Errorf("before the merge: %+v, %v", r, err)
	}
	h.merge()
	r, err := layer.ReadReport(root, h.kind)
	h.check(err)
	states := map[string]layer.State{}
	for _, e := range r.Extensions {
		states[e.Name] = e.State
		if (e.State == layer.Merge) != (e.Reason == "") {
			t.Errorf("no reason, or one too many: %+v", e)
		}
	}
	if diff := cmp.Diff(map[string]layer.State{"one": layer.Merge, "other": layer.Ignored, "masked": layer.Masked, "readme.txt": layer.Skipped, "empty": layer.Refused}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	want := &layer.Report{Kind: "sysext", Engine: layer.EngineNative, Mutable: layer.Immutable, Hierarchies: []layer.Reported{
		{Path: "/opt", Place: "opt", Device: h.at("opt").Device.String(), Layers: []string{"one"}},
		{Path: "/usr", Place: "usr", Device: h.at("usr").Device.String(), Layers: []string{"one"}},
	}}
	if diff := cmp.Diff(want, r, cmpopts.IgnoreFields(layer.Report{}, "Extensions", "Warnings", "Time")); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	// A refresh that has nothing to do tells of what is passed over by now.
	h.check(os.RemoveAll(h.path("var/lib/extensions/other")))
	if again := h.refresh(); !again.Unchanged {
		t.Error("a refresh without a change did something")
	}
	later, err := layer.ReadReport(root, h.kind)
	h.check(err)
	if len(later.Extensions) != len(r.Extensions)-1 || !later.Time.Equal(r.Time) || h.item("one").Guarantee != layer.Unprotected {
		t.Errorf("after a refresh: %+v", later)
	}
	if diff := cmp.Diff(r.Hierarchies, later.Hierarchies); diff != "" {
		t.Errorf("after a refresh (-before +after):\n%s", diff)
	}
	h.unmerge()
	if r, err := layer.ReadReport(root, h.kind); r != nil || err != nil {
		t.Errorf("after the unmerge: %+v, %v", r, err)
	}
}

// TestReportDamaged: a report that cannot be understood, or that would have strange
// folders removed, is an error.
func TestReportDamaged(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"rubbish": "rubbish", "cut short": `{"kind": "sysext"`, "a path that leads out": `{"work": ["../x/.systemd-usr-workdir"]}`,
		"an absolute path": `{"made": ["/srv"]}`, "the root": `{"made": ["."]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := root.MkdirAll("run/inlay", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := root.WriteFile("run/inlay/layer-sysext.json", []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if r, err := layer.ReadReport(root, extension.Sysext()); err == nil || !strings.Contains(err.Error(), "layer-sysext.json") {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestEscape: paths in markers are as systemd writes them.
func TestEscape(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"var/lib/extensions.mutable/.systemd-usr-workdir": "var/lib/extensions.mutable/.systemd-usr-workdir",
		`a"b'c\d`: `a\"b\'c\\d`, "a\nb\x7fé": `a\012b\177\303\251`,
	} {
		got := layer.Escape(text)
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
		if back, err := layer.Unescape(got); err != nil || back != text {
			t.Errorf("%q is read back as %q, %v", got, back, err)
		}
	}
	if got, err := layer.Unescape(`\a\b\f\n\r\t\v`); err != nil || got != "\a\b\f\n\r\t\v" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{`\`, `a\`, `\1`, `\12`, `\189`, `\xzz`, `\000`, `\777`, `\q12`} {
		if got, err := layer.Unescape(bad); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}

// TestIsUnit: what becomes an argument of systemctl is the name of a unit.
func TestIsUnit(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a.service": true, "a@b.service": true, `dev-disk-by\x2dlabel.swap`: true, "a:b_c-d.e.socket": true,
		"": false, ".service": false, "a": false, "a.conf": false, "-a.service": false, "@a.service": false, "a/b.service": false,
		"a b.service": false, "ä.service": false, "--help": false, strings.Repeat("a", 250) + ".service": false,
	} {
		if got := layer.IsUnit(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
