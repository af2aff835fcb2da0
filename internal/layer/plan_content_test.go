package layer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/test/need"
)

// TestPlanSafe shows which files keep an extension from being merged.
func TestPlanSafe(t *testing.T) {
	t.Parallel()
	const refused = "refused /run/extensions/one "
	merge := []string{"merge /run/extensions/one", "/usr one"}
	one := func(files ...string) tree { return ext("run/extensions/one", fits, files...) }
	overridden := func(r *layer.Request) { r.Override = true }
	systemd := func(r *layer.Request) { r.Engine = layer.EngineSystemd }
	runPlanned(t, []planned{
		{name: "a folder over a link", files: one("usr/lib64/x"), want: []string{refused + `its folder "/usr/lib64" would replace a link of the host`}},
		{name: "a folder over a link, wanted", files: one("usr/lib64/x"), ask: overridden, want: merge},
		{name: "a folder over a link, with systemd", files: one("usr/lib64/x"), ask: systemd, want: merge},
		{name: "a link over a link", files: one("usr/lib64=-> bin"), want: merge},
		{name: "a file over a folder", files: one("usr/bin"), want: []string{refused + `its file "/usr/bin" would replace a folder of the host and all that is in it`}},
		{name: "a link over a folder", files: one("usr/bin=-> sbin"), want: []string{refused + `its file "/usr/bin" would replace a folder of the host and all that is in it`}},
		{name: "a file over a folder, wanted", files: one("usr/bin"), ask: overridden, want: merge},
		{name: "a file over a file", files: one("usr/bin/true"), want: merge},
		{name: "a folder over a file", files: one("usr/bin/true/x"), want: merge},
		{name: "a folder of forced age isn't wanted", files: one("usr/bin"), ask: func(r *layer.Request) { r.Force = true }, want: []string{refused + `its file "/usr/bin" would replace a folder of the host and all that is in it`}},
		{
			name: "over another extension", files: one("usr/share/x/y").plus(ext("run/extensions/two", fits, "usr/share/x")),
			want: []string{"merge /run/extensions/one", `refused /run/extensions/two its file "/usr/share/x" would replace a folder of the extension "one" and all that is in it`, "/usr one"},
		},
		{
			name: "a folder over another's link", files: one("usr/share/x=-> y").plus(ext("run/extensions/two", fits, "usr/share/x/y")),
			want: []string{"merge /run/extensions/one", `refused /run/extensions/two its folder "/usr/share/x" would replace a link of the extension "one"`, "/usr one"},
		},
		{
			// What isn't merged is in nobody's way.
			name: "over one that is refused", files: one("usr/share/x/y", "usr/bin").plus(ext("run/extensions/two", fits, "usr/share/x")),
			want: []string{"merge /run/extensions/two", refused + "…", "/usr two"},
		},
		{name: "a marker", files: one("usr/.systemd-sysext/work_dir"), want: []string{refused + `it has "/usr/.systemd-sysext", by which a merge is recognised and taken down`}},
		{name: "a marker of another kind, wanted", files: one("usr/.systemd-confext/dev"), ask: func(r *layer.Request) { r.Override, r.Unsafe = true, true }, want: []string{refused + "…"}},
		{name: "a marker below", files: one("usr/share/.systemd-sysext/x"), want: merge},
		{name: "what lies in no hierarchy", files: one("etc/passwd", "bin=-> usr/bin"), want: merge},
		{name: "a hierarchy that is a link of the host", files: one("srv/link/bin").plus(tree{"srv/real/bin/x": "", "srv/link": "-> real"}), ask: hierarchies("/srv/link"), want: []string{refused + `its file "/srv/link/bin" would replace…`}},
	})
}

// TestPlanWhiteouts shows that what steers the overlay is refused, unless it is
// allowed.
func TestPlanWhiteouts(t *testing.T) {
	t.Parallel()
	need.Root(t)
	for _, c := range []struct {
		name, reason string
		spoil        func(folder string) error
	}{
		{"a whiteout", `"/usr/bin/true" in it is a whiteout, which hides a file of the host`, func(folder string) error {
			return unix.Mknod(filepath.Join(folder, "usr/bin/true"), unix.S_IFCHR|0o600, 0)
		}},
		{"an opaque folder", `"/usr/bin" in it has the attribute trusted.overlay.opaque, which steers the overlay`, func(folder string) error {
			return unix.Setxattr(filepath.Join(folder, "usr/bin"), "trusted.overlay.opaque", []byte("y"), 0)
		}},
		{"an opaque hierarchy", `"/usr" in it has the attribute trusted.overlay.opaque, which steers the overlay`, func(folder string) error {
			return unix.Setxattr(filepath.Join(folder, "usr"), "trusted.overlay.opaque", []byte("y"), 0)
		}},
		{"an attribute for users", `"/usr/bin/one" in it has the attribute user.overlay.redirect, which steers the overlay`, func(folder string) error {
			return unix.Setxattr(filepath.Join(folder, "usr/bin/one"), "user.overlay.redirect", []byte("/"), 0)
		}},
		{"a device", "", func(folder string) error {
			return unix.Mknod(filepath.Join(folder, "usr/bin/null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) //nolint:gosec // small
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := system(t, someHost().plus(ext("run/extensions/one", fits, "usr/bin/one")))
			if err := c.spoil(filepath.Join(root.Name(), "run/extensions/one")); err != nil {
				t.Fatal(err)
			}
			for _, unsafe := range []bool{false, true} {
				p, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), Policy: policy(t, "any"), Unsafe: unsafe})
				if err != nil {
					t.Fatal(err)
				}
				want := layer.Refused
				if unsafe || c.reason == "" {
					want = layer.Merge
				}
				if i := p.Items[0]; i.State != want || !unsafe && i.Reason != c.reason {
					t.Errorf("unsafe %t: %s: %s", unsafe, i.State, i.Reason)
				}
				if c.name == "a whiteout" && unsafe {
					if diff := cmp.Diff([]string{"/usr/bin/true"}, p.Vanishing()); diff != "" {
						t.Error(diff)
					}
				}
			}
		})
	}
}

// TestPlanConflicts shows who wins, what vanishes and what changes.
func TestPlanConflicts(t *testing.T) {
	t.Parallel()
	root := system(t, someHost().plus(
		tree{"usr/share/doc/a": "a", "usr/share/doc/b": "b", "usr/share/deep/x/y": "", "usr/lib/": ""},
		ext("run/extensions/one", fits, "usr/bin/true=mine", "usr/share/doc/a=a", "usr/share/x=1", "usr/share/same=s", "usr/share/link=-> a", "usr/share/deep=file"),
		ext("run/extensions/two", fits, "usr/bin/true=mine", "usr/share/x=2", "usr/share/same=s", "usr/share/link=-> b", "usr/lib64/new=x"),
		ext("run/extensions/three", fits, "usr/bin/true=other", "usr/share/same=s"),
	))
	p, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), User: os.Getuid(), Policy: policy(t, "any"), Override: true})
	if err != nil {
		t.Fatal(err)
	}
	// By name: one, three, two.
	conflicts, err := p.Conflicts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []layer.Conflict{
		{Path: "/usr/bin/true", Kind: layer.OverExtension, Winner: "two", Losers: []string{"three", "one", layer.Host}},
		{Path: "/usr/lib64", Kind: layer.DirOverLink, Winner: "two", Losers: []string{layer.Host}},
		{Path: "/usr/share/deep", Kind: layer.FileOverDir, Winner: "one", Losers: []string{layer.Host}},
		{Path: "/usr/share/doc/a", Kind: layer.OverHost, Winner: "one", Losers: []string{layer.Host}, Same: true},
		{Path: "/usr/share/link", Kind: layer.OverExtension, Winner: "two", Losers: []string{"one"}},
		{Path: "/usr/share/same", Kind: layer.OverExtension, Winner: "two", Losers: []string{"three", "one"}, Same: true},
		{Path: "/usr/share/x", Kind: layer.OverExtension, Winner: "two", Losers: []string{"one"}},
	}
	if diff := cmp.Diff(want, conflicts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/usr/lib64", "/usr/share/deep"}, p.Vanishing()); diff != "" {
		t.Error(diff)
	}
	var changes []string
	for _, c := range p.Changes() {
		changes = append(changes, c.Change+" "+c.Path+" "+c.Extension)
	}
	const releases = "/usr/lib/extension-release.d"
	if diff := cmp.Diff([]string{
		"replaced /usr/bin/true two",
		"added " + releases + " two", "added " + releases + "/extension-release.one one", "added " + releases + "/extension-release.three three", "added " + releases + "/extension-release.two two",
		"replaced /usr/lib64 two", "added /usr/lib64/new two", "replaced /usr/share/deep one", "replaced /usr/share/doc/a one",
		"added /usr/share/link two", "added /usr/share/same two", "added /usr/share/x two",
	}, changes); diff != "" {
		t.Error(diff)
	}
}

// TestPlanFolders shows whose attributes shared folders are to get.
func TestPlanFolders(t *testing.T) {
	t.Parallel()
	need.Root(t)
	root := system(t, someHost().plus(
		tree{"usr/share/doc/a": "a", "usr/share/man/": ""},
		ext("run/extensions/one", fits, "usr/share/doc/x", "usr/share/man/x", "usr/share/own/x"),
		ext("run/extensions/two", fits, "usr/share/man/y"),
	))
	at := func(name string) string { return filepath.Join(root.Name(), name) }
	for _, err := range []error{
		os.Chmod(at("run/extensions/one/usr/share/doc"), 0o700),
		os.Chmod(at("run/extensions/one/usr/share/own"), 0o700),
		// Another one above it puts that right.
		os.Chown(at("run/extensions/one/usr/share/man"), 7, 8),
		// The hierarchy itself is the engine's business.
		os.Chmod(at("run/extensions/one/usr"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := plan(t, layer.Request{Root: root, Kind: extension.Sysext(), Policy: policy(t, "any")})
	if err != nil {
		t.Fatal(err)
	}
	want := []layer.Folder{{Path: "/usr/share/doc", Mode: unix.S_IFDIR | 0o755, Extension: "one"}}
	if diff := cmp.Diff(want, p.Folders); diff != "" {
		t.Error(diff)
	}
}
