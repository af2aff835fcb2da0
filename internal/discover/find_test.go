package discover_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/discover"
	"inlay/internal/extension"
)

func TestFolders(t *testing.T) {
	t.Parallel()
	const (
		own   = "etc/extensions run/extensions var/lib/extensions"
		old   = " usr/local/lib/extensions usr/lib/extensions"
		confs = "run/confexts var/lib/confexts usr/local/lib/confexts"
	)
	tests := map[string]struct {
		kind    extension.Kind
		systemd int
		initrd  bool
		want    string
	}{
		"sysext, 252":          {extension.Sysext(), 252, false, own + old},
		"sysext, 253":          {extension.Sysext(), 253, true, own + old},
		"sysext, 254":          {extension.Sysext(), 254, false, own},
		"sysext, 254, initrd":  {extension.Sysext(), 254, true, own + " .extra/sysext"},
		"sysext, 257, initrd":  {extension.Sysext(), 257, true, own + " .extra/sysext"},
		"sysext, 258, initrd":  {extension.Sysext(), 258, true, own + " .extra/sysext .extra/global_sysext"},
		"sysext, 262":          {extension.Sysext(), 262, false, own},
		"sysext, newest":       {extension.Sysext(), 0, true, own + " .extra/sysext .extra/global_sysext"},
		"confext, 253":         {extension.Confext(), 253, false, ""},
		"confext, 254":         {extension.Confext(), 254, false, confs + " usr/lib/confexts"},
		"confext, 257, initrd": {extension.Confext(), 257, true, confs + " .extra/confext"},
		"confext, 258, initrd": {extension.Confext(), 258, true, confs + " .extra/confext .extra/global_confext"},
		"confext, newest":      {extension.Confext(), 0, false, confs + " usr/lib/confexts"},
	}
	for name, test := range tests {
		got := discover.Folders(discover.Options{Kind: test.kind, Systemd: test.systemd, Initrd: test.initrd})
		if diff := cmp.Diff(strings.Fields(test.want), append([]string{}, got...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		scene
		options discover.Options
		want    []string
	}{
		"the order is that of versions": {
			scene{"etc/extensions/foo_1.10.raw", "etc/extensions/foo_1.9.raw", "run/extensions/bar.raw", "var/lib/extensions/1.raw", "var/lib/extensions/01.raw"},
			discover.Options{},
			[]string{
				"bar: raw run/extensions/bar.raw", "foo_1.9: raw etc/extensions/foo_1.9.raw", "foo_1.10: raw etc/extensions/foo_1.10.raw",
				"01: raw var/lib/extensions/01.raw", "1: raw var/lib/extensions/1.raw",
			},
		},
		"a mask": {
			scene{"etc/extensions/foo/", "run/extensions/foo.raw", "var/lib/extensions/foo.sysext.raw"},
			discover.Options{},
			[]string{
				"foo: directory etc/extensions/foo masks",
				`- run/extensions/foo.raw: the empty folder "/etc/extensions/foo" masks the name "foo"`,
				`- var/lib/extensions/foo.sysext.raw: the empty folder "/etc/extensions/foo" masks the name "foo"`,
			},
		},
		"a folder that comes first": {
			scene{"etc/extensions/foo.raw", "run/extensions/foo/"},
			discover.Options{},
			[]string{
				"foo: raw etc/extensions/foo.raw",
				`- run/extensions/foo: "/etc/extensions/foo.raw" has the name "foo" too, and its folder comes first`,
			},
		},
		"one folder": {
			scene{
				"etc/extensions/foo.v/foo_1/", "etc/extensions/foo.raw.v/foo_1.raw", "etc/extensions/foo.raw", "etc/extensions/foo/usr/",
				"etc/extensions/foo.sysext/", "etc/extensions/foo.sysext.raw", "etc/extensions/foo.mstack/",
				"etc/extensions/foo.sysext.v/foo_1.sysext/", "etc/extensions/foo.sysext.raw.v/foo_1.sysext.raw",
			},
			discover.Options{},
			[]string{
				"foo: directory etc/extensions/foo.sysext masks",
				`- etc/extensions/foo: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
				`- etc/extensions/foo.sysext.raw: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
				`- etc/extensions/foo.raw: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
				`- etc/extensions/foo.mstack: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
				`- etc/extensions/foo.sysext.v/foo_1.sysext: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
				`- etc/extensions/foo.v/foo_1: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
				`- etc/extensions/foo.sysext.raw.v/foo_1.sysext.raw: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
				`- etc/extensions/foo.raw.v/foo_1.raw: "foo.sysext" in the same folder has the name "foo" too, and comes first`,
			},
		},
		"one file in two folders": {
			scene{"run/extensions/foo.raw -> /var/lib/extensions/foo.raw", "var/lib/extensions/foo.raw"},
			discover.Options{},
			[]string{
				"foo: raw run/extensions/foo.raw = var/lib/extensions/foo.raw",
				`- var/lib/extensions/foo.raw: it is "/run/extensions/foo.raw", which has been found already`,
			},
		},
		"what is passed over": {
			scene{
				"etc/extensions/README", "fifo etc/extensions/a.raw", "char etc/extensions/b", "socket etc/extensions/c", "etc/extensions/d -> /none", "etc/extensions/e -> e",
				"etc/extensions/f -> ../../../out", "etc/extensions/.#g.raw", "etc/extensions/h.roothash", "etc/extensions/i.v", "etc/extensions/j.raw -> README/x",
				"etc/extensions/.sysupdate.partial.k.raw", "etc/extensions/.sysupdate.pending.l/", "run/extensions", "var/lib/extensions -> /none", "etc/extensions/m.v/", "etc/extensions/n.v/n/",
				"etc/extensions/o.raw -> /dev/null",
			},
			discover.Options{},
			[]string{
				`! etc/extensions/.#g.raw: systemd passes over an extension called ".#g": the name begins with ".#", as files do that are not complete`,
				`! etc/extensions/.sysupdate.partial.k.raw: systemd-sysupdate has not finished it`,
				`! etc/extensions/.sysupdate.pending.l: systemd-sysupdate has not finished it`,
				`! etc/extensions/README: a regular file, and its name doesn't end with ".raw"`,
				`! etc/extensions/a.raw: a FIFO: no folder, regular file or block device`,
				`! etc/extensions/b: a character device: no folder, regular file or block device`,
				`! etc/extensions/c: a socket: no folder, regular file or block device`,
				`! etc/extensions/d: a link to what is not there`,
				`! etc/extensions/e: it leads through too many links`,
				`! etc/extensions/f: it leads out of the root folder`,
				`! etc/extensions/h.roothash: it belongs to an image, and is none`,
				`! etc/extensions/i.v: a regular file, though its name ends with ".v" as that of a folder`,
				`! etc/extensions/j.raw: it is no folder, or leads through something that is none`,
				`! etc/extensions/m.v: a versioned folder without any version`,
				`! etc/extensions/n.v: a versioned folder without a version that fits: "n": its name doesn't begin with "n_"`,
				`! etc/extensions/o.raw: a link to what is not there`,
				`! run/extensions: no folder to look in: it is no folder, or leads through something that is none`,
				`! var/lib/extensions: no folder to look in: a link to what is not there`,
			},
		},
		"stacks of layers": {
			scene{"etc/extensions/a.mstack/x/", "etc/extensions/b -> /data/y.mstack", "data/y.mstack/x/", "etc/extensions/c.mstack -> /data/z", "data/z/x/", "etc/extensions/d.mstack.v/d_1.mstack/x/", "etc/extensions/e.v/e_1.mstack/x/"},
			discover.Options{},
			[]string{
				"a: mstack etc/extensions/a.mstack", "b: mstack etc/extensions/b = data/y.mstack", "c: directory etc/extensions/c.mstack = data/z",
				"d: mstack etc/extensions/d.mstack.v/d_1.mstack", "e: mstack etc/extensions/e.v/e_1.mstack",
			},
		},
		"no stacks of layers in 259": {
			scene{"etc/extensions/a.mstack/x/", "etc/extensions/d.mstack.v/d.mstack_1/x/"},
			discover.Options{Systemd: 259},
			[]string{"a.mstack: directory etc/extensions/a.mstack", "d.mstack: directory etc/extensions/d.mstack.v/d.mstack_1"},
		},
		"no suffix of a kind in 254": {
			scene{"etc/extensions/a.sysext.raw", "etc/extensions/b.sysext/x", "etc/extensions/c.raw"},
			discover.Options{Systemd: 254},
			[]string{"a.sysext: raw etc/extensions/a.sysext.raw", "b.sysext: directory etc/extensions/b.sysext", "c: raw etc/extensions/c.raw"},
		},
		"no versions in 255": {
			scene{"etc/extensions/a.raw.v/a_1.raw", "etc/extensions/b.v/b_1/"},
			discover.Options{Systemd: 255},
			[]string{"a.raw.v: directory etc/extensions/a.raw.v", "b.v: directory etc/extensions/b.v"},
		},
		"versions in 256": {
			scene{"etc/extensions/a.raw.v/a_1.raw", "etc/extensions/b.v/b_1/"},
			discover.Options{Systemd: 256},
			[]string{"a: raw etc/extensions/a.raw.v/a_1.raw", "b: directory etc/extensions/b.v/b_1 masks"},
		},
		"the folders of old": {
			scene{"usr/lib/extensions/a.raw", "usr/lib/extensions/b.raw", "usr/local/lib/extensions/b.raw", "var/lib/extensions/a.raw", "etc/extensions/c/", "usr/lib/extensions/c.raw"},
			discover.Options{More: []string{"/usr/local/lib/extensions", "usr/lib/extensions/"}},
			[]string{
				"a: raw var/lib/extensions/a.raw",
				`- usr/lib/extensions/a.raw: "/var/lib/extensions/a.raw" has the name "a" too, and its folder comes first`,
				"b: raw usr/local/lib/extensions/b.raw old",
				`- usr/lib/extensions/b.raw: "/usr/local/lib/extensions/b.raw" has the name "b" too, and its folder comes first`,
				"c: directory etc/extensions/c masks",
				`- usr/lib/extensions/c.raw: the empty folder "/etc/extensions/c" masks the name "c"`,
			},
		},
		"the folders of old are 253's own": {
			scene{"usr/lib/extensions/a.raw"},
			discover.Options{Systemd: 253, More: discover.OldFolders(extension.Sysext())},
			[]string{"a: raw usr/lib/extensions/a.raw"},
		},
		"links lead where they do in the root": {
			scene{"etc/extensions -> /data", "data/foo.raw -> /images/x", "images -> store/deep", "store/deep/x", "data/bar -> ../data/up", "data/up -> .././store"},
			discover.Options{},
			[]string{"bar: directory data/bar = store", "foo: raw data/foo.raw = store/deep/x", "up: directory data/up = store"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if slices.ContainsFunc(test.scene, func(line string) bool { return strings.HasPrefix(line, "char ") }) && os.Getuid() != 0 {
				t.Skip("only root makes devices")
			}
			found := find(t, test.scene, test.options)
			if diff := cmp.Diff(test.want, account(found)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, s := range found.Skipped {
				if strings.Contains(s.Reason, "regular file") && len(s.Hints) == 0 {
					t.Errorf("%s: no advice", s.Path)
				}
			}
		})
	}
}

// TestFindTrouble: what a folder that cannot be read to its end would mask is
// not known, so nothing may be merged from those after it.
func TestFindTrouble(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	scene{"etc/extensions/", "run/extensions/foo.raw"}.write(t, path)
	for i := range 1<<14 + 1 {
		f, err := os.Create(filepath.Join(path, "etc/extensions", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	o := discover.Options{Root: openRoot(t, path), Kind: extension.Sysext()}
	if found, err := discover.Find(t.Context(), o); err == nil || !strings.Contains(err.Error(), "/etc/extensions") {
		t.Errorf("%v, error %v", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := discover.Find(ctx, o); !errors.Is(err, context.Canceled) || found != nil {
		t.Errorf("%v, error %v", found, err)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	s := scene{
		"usr/lib/extensions/a.raw", "usr/lib/extensions/b.sysext.raw", "usr/lib/extensions/c/usr/", "usr/lib/extensions/d.raw.v/d_1.raw", "usr/lib/extensions/e -> /data/e", "data/e/usr/",
		"usr/lib/extensions/f.sysext.sysext.raw", "usr/lib/extensions/g.v.sysext/usr/", "usr/lib/extensions/h.raw", "run/extensions/h.raw -> /usr/lib/extensions/h.raw",
		"usr/lib/extensions/i.raw", "etc/extensions/i.raw", "usr/lib/extensions/j.raw -> /data/j.img", "data/j.img", "usr/lib/extensions/k.sysext.sysext/usr/",
	}
	path := t.TempDir()
	s.write(t, path)
	o := discover.Options{Kind: extension.Sysext(), More: discover.OldFolders(extension.Sysext())}
	links := findIn(t, path, o).Links(o)
	var got []string
	for _, l := range links {
		got = append(got, fmt.Sprintf("%s: %s -> %s %v", l.Candidate.Name, l.Name, l.Target, l.Recursive))
	}
	want := []string{
		"a: a.raw -> /usr/lib/extensions/a.raw false",
		"b: b.raw -> /usr/lib/extensions/b.sysext.raw false",
		"c: c -> /usr/lib/extensions/c true",
		"d: d.raw -> /usr/lib/extensions/d.raw.v/d_1.raw false",
		"e: e -> /data/e false",
		"f.sysext: f.sysext.sysext.raw -> /usr/lib/extensions/f.sysext.sysext.raw false",
		"g.v: g.v.sysext -> /usr/lib/extensions/g.v.sysext true",
		"j: j.raw -> /data/j.img false",
		"k.sysext: k.sysext.sysext -> /usr/lib/extensions/k.sysext.sysext true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/usr/lib/extensions/h.raw", "/etc/extensions/i.raw"}, paths(findIn(t, path, o).List(o))); diff != "" {
		t.Errorf("systemd lists (-want +got):\n%s", diff)
	}
	// Made, they have systemd find the same, and no more are needed.
	for _, l := range links {
		scene{"run/extensions/" + l.Name + " -> " + l.Target}.write(t, path)
	}
	before, after := map[string]string{}, map[string]string{}
	for _, l := range links {
		before[l.Candidate.Name] = l.Candidate.Path
	}
	found := findIn(t, path, o)
	for _, c := range found.Candidates {
		if c.Folder == "run/extensions" && c.Name != "h" {
			after[c.Name] = c.Path
		}
	}
	if diff := cmp.Diff(before, after); diff != "" || len(found.Links(o)) != 0 {
		t.Errorf("afterwards: %s, %d more links", diff, len(found.Links(o)))
	}
}
