package bundle_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inlay/internal/bundle"
)

// TestUse unpacks to a machine, and is told what the folder is there.
func TestUse(t *testing.T) {
	t.Parallel()
	sysext := func(name, text string) entry {
		return entry{name: "usr/lib/extension-release.d/extension-release." + name, text: text}
	}
	tool := entry{name: "usr/bin/tool", text: "tool"}
	tests := map[string]struct {
		dir    string
		files  []entry
		merges bool
		kind   string
		why    string
		mend   string
	}{
		"the documents' for any system":  {"var/lib/extensions/kubo", []entry{tool, sysext("kubo", "ID=_any\n")}, true, "sysext", "", ""},
		"the documents' for one version": {"var/lib/extensions/kubo", []entry{tool, sysext("kubo", "ID=kairos\nVERSION_ID=v1.0.0\n")}, true, "sysext", "", ""},
		"where the documents had it":     {"usr/local/lib/extensions/kubo", []entry{tool, sysext("kubo", "ID=_any\n")}, true, "sysext", "", ""},
		"a confext":                      {"var/lib/confexts/c", []entry{{name: "etc/c.conf"}, {name: "etc/extension-release.d/extension-release.c", text: "ID=_any\n"}}, true, "confext", "", ""},
		"the suffix of a folder":         {"run/extensions/kubo.sysext", []entry{tool, sysext("kubo", "ID=_any\n")}, true, "sysext", "", ""},
		"a version":                      {"run/extensions/kubo_1", []entry{tool, sysext("kubo", "ID=_any\n")}, true, "sysext", "", ""},
		"another version":                {"var/lib/extensions/kubo", []entry{tool, sysext("kubo", "ID=kairos\nVERSION_ID=v2\n")}, false, "sysext", "v1.0.0", "get the build for"},
		"another system":                 {"var/lib/extensions/kubo", []entry{tool, sysext("kubo", "ID=fedora\n")}, false, "sysext", "fedora", "_any"},
		"no release file":                {"var/lib/extensions/kubo", []entry{tool}, false, "sysext", "no /usr/lib/extension-release.d/extension-release.kubo", "echo ID=_any > /usr/lib/extension-release.d/extension-release.kubo"},
		"no release file of a confext":   {"var/lib/confexts/c", []entry{{name: "etc/c.conf"}}, false, "confext", "no /etc/extension-release.d/extension-release.c", "/etc/extension-release.d"},
		"another name":                   {"var/lib/extensions/ipfs", []entry{tool, sysext("kubo", "ID=_any\n")}, false, "sysext", "another name", "ROOT/var/lib/extensions/kubo"},
		"several names":                  {"var/lib/extensions/ipfs", []entry{tool, sysext("a", "ID=_any\n"), sysext("b", "ID=_any\n")}, false, "sysext", "release file", ""},
		"a name that is none":            {"var/lib/extensions/.#x", []entry{tool, sysext(".#x", "ID=_any\n")}, false, "sysext", "begins with", "letters"},
		"a broken release file":          {"var/lib/extensions/kubo", []entry{tool, sysext("kubo", "ID=\xff\n")}, false, "sysext", "release file", ""},
		"another place":                  {"srv/kubo", []entry{tool, sysext("kubo", "ID=_any\n")}, false, "sysext", "looked for", "ROOT/var/lib/extensions/kubo"},
		"the confexts' place":            {"var/lib/confexts/kubo", []entry{tool, sysext("kubo", "ID=_any\n")}, false, "sysext", "looked for", "ROOT/var/lib/extensions/kubo"},
		"a whole system":                 {"var/lib/extensions/os", []entry{tool, sysext("os", "ID=_any\n"), {name: "usr/lib/os-release", text: "ID=x\n"}}, false, "sysext", "nothing at all", "remove"},
		"one of its name before it":      {"var/lib/extensions/other", []entry{tool, sysext("other", "ID=_any\n")}, false, "sysext", `"/run/extensions/other" has the name`, "remove that one"},
		"masked":                         {"var/lib/extensions/masked", []entry{tool, sysext("masked", "ID=_any\n")}, false, "sysext", `"/run/extensions/masked"`, "remove that one"},
		"the newest of several versions": {"var/lib/extensions/many.v/many_3", []entry{tool, sysext("many", "ID=_any\n")}, true, "sysext", "", ""},
		"an older of several versions":   {"var/lib/extensions/many.v/many_1", []entry{tool, sysext("many", "ID=_any\n")}, false, "sysext", "many_2", "remove that one"},
		"nothing to merge":               {"var/lib/extensions/x", []entry{{name: "srv/x"}}, false, "", "nothing below", "/usr"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			machine := t.TempDir()
			check(t, os.MkdirAll(machine+"/run/extensions/other/usr", 0o755))
			check(t, os.MkdirAll(machine+"/run/extensions/masked", 0o755))
			check(t, os.MkdirAll(machine+"/var/lib/extensions/many.v/many_2/usr", 0o755))
			check(t, os.MkdirAll(machine+"/etc", 0o755))
			check(t, os.WriteFile(machine+"/etc/os-release", []byte("ID=kairos\nVERSION_ID=v1.0.0\n"), 0o600))
			root, err := os.OpenRoot(machine)
			check(t, err)
			defer root.Close()
			r := mustUnpack(t, filepath.Join(machine, c.dir), imageOf(t, c.files), bundle.Options{NoSameOwner: true, Machine: root})
			u := r.Use
			if u.Merges != c.merges || u.Kind != c.kind || !strings.Contains(u.Why, c.why) || !strings.Contains(u.Mend, strings.ReplaceAll(c.mend, "ROOT", machine)) {
				t.Errorf("got %+v", *u)
			}
			if c.merges && (u.Why != "" || u.Mend != "" || u.Release == "") || !c.merges && u.Why == "" {
				t.Errorf("got %+v", *u)
			}
		})
	}
}

// TestMergedStays replaces a folder while it is merged: what is merged from it must
// not go before the next merge.
func TestMergedStays(t *testing.T) {
	t.Parallel()
	machine := t.TempDir()
	check(t, os.MkdirAll(machine+"/usr/.systemd-sysext", 0o755))
	root, err := os.OpenRoot(machine)
	check(t, err)
	defer root.Close()
	dir := machine + "/var/lib/extensions/kubo"
	o := bundle.Options{NoSameOwner: true, Machine: root}
	mustUnpack(t, dir, imageOf(t, []entry{{name: "usr/one", text: "1"}}), o)
	check(t, os.WriteFile(machine+"/usr/.systemd-sysext/extensions", []byte("a\nkubo\n"), 0o600))
	r := mustUnpack(t, dir, imageOf(t, []entry{{name: "usr/two", text: "2"}}), o)
	if !strings.Contains(strings.Join(r.Notes, " "), "is merged now") {
		t.Errorf("notes: %q", r.Notes)
	}
	aside := machine + "/var/lib/extensions/.#kubo.inlay"
	// The second was never merged, so that only the first stays.
	mustUnpack(t, dir, imageOf(t, []entry{{name: "usr/three", text: "3"}}), o)
	if list := append(names(t, aside), names(t, aside+"/merged/usr")...); !slices.Equal(list, []string{"merged", "one"}) {
		t.Errorf("aside: %q", list)
	}
	// The third is merged: the first can go.
	later := time.Now()
	check(t, os.Chtimes(machine+"/usr/.systemd-sysext/extensions", later, later))
	mustUnpack(t, dir, imageOf(t, []entry{{name: "usr/four", text: "4"}}), o)
	if list := append(names(t, aside), names(t, aside+"/merged/usr")...); !slices.Equal(list, []string{"merged", "three"}) {
		t.Errorf("aside: %q", list)
	}
	check(t, os.Remove(machine+"/usr/.systemd-sysext/extensions"))
	mustUnpack(t, dir, imageOf(t, []entry{{name: "usr/five", text: "5"}}), o)
	if _, err := os.Lstat(aside); !os.IsNotExist(err) {
		t.Errorf("what was set aside is still there: %v", err)
	}
}

// TestMergedStaysByWhateverName does so with a folder that is merged by another name
// than its own: one of several versions, or what a link leads to.
func TestMergedStaysByWhateverName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		dir, list, origin string
		stays             bool
	}{
		"a version":          {"var/lib/extensions/kubo.v/kubo_1", "kubo\n", "", true},
		"a suffix":           {"var/lib/extensions/kubo.sysext.v/kubo_1.sysext", "kubo\n", "", true},
		"a link":             {"srv/folder", "kubo\n", `{"mutable":{"mode":"no"},"extensions":{"kubo":{"path":"/srv/folder"}}}`, true},
		"another":            {"srv/folder", "kubo\n", `{"extensions":{"kubo":{"path":"/srv/folder2"}}}`, false},
		"an unknown origin":  {"srv/folder", "kubo\n", `{`, false},
		"another's versions": {"var/lib/extensions/other.v/kubo_1", "kubo\n", "", false},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			machine := t.TempDir()
			marker := machine + "/usr/.systemd-sysext"
			check(t, os.MkdirAll(marker, 0o755))
			root, err := os.OpenRoot(machine)
			check(t, err)
			defer root.Close()
			o := bundle.Options{NoSameOwner: true, Machine: root}
			mustUnpack(t, filepath.Join(machine, c.dir), imageOf(t, []entry{{name: "usr/one", text: "1"}}), o)
			check(t, os.WriteFile(marker+"/extensions", []byte(c.list), 0o600))
			if c.origin != "" {
				check(t, os.WriteFile(marker+"/origin", []byte(c.origin), 0o600))
			}
			r := mustUnpack(t, filepath.Join(machine, c.dir), imageOf(t, []entry{{name: "usr/two", text: "2"}}), o)
			if got := strings.Contains(strings.Join(r.Notes, " "), "is merged now"); got != c.stays {
				t.Errorf("it stays: %v, notes: %q", got, r.Notes)
			}
		})
	}
}
