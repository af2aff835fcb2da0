package bundle_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/bundle"
	"inlay/internal/source"
	"inlay/test/need"
)

const folder = tar.TypeDir

// everything has each kind of file in two layers, of which the upper one hides
// parts of the lower.
func everything() [][]entry {
	return [][]entry{{
		{name: "usr/", kind: folder},
		{name: "usr/bin/", kind: folder, mode: 0o751, uid: 7},
		{name: "usr/bin/tool", text: "tool", mode: 0o4755, uid: 3, xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		{name: "usr/bin/same", kind: tar.TypeLink, target: "usr/bin/tool"},
		{name: "usr/bin/other", kind: tar.TypeLink, target: "usr/bin/same"},
		{name: "usr/bin/gone", text: "gone"},
		{name: "usr/old/a", text: "a"},
		{name: "usr/old/b/c", text: "c"},
		{name: "usr/stays", text: "stays", xattrs: map[string]string{"user.origin": "here"}},
	}, {
		{name: "usr/bin/.wh.gone"},
		{name: "usr/old/.wh..wh..opq"},
		{name: "usr/old/new", text: "new"},
		{name: "usr/link", kind: tar.TypeSymlink, target: "../../etc/passwd", uid: 9},
		{name: "usr/absolute", kind: tar.TypeSymlink, target: "/etc/passwd"},
		{name: "usr/null", kind: tar.TypeChar, major: 1, minor: 3, mode: 0o666},
		{name: "usr/disk", kind: tar.TypeBlock, major: 8, minor: 300, mode: 0o640, uid: 6},
		{name: "usr/pipe", kind: tar.TypeFifo, mode: 0o622},
		{name: "usr/pipe2", kind: tar.TypeLink, target: "usr/pipe"},
		{name: "usr/empty", kind: folder, mode: 0o1777},
		{name: "usr/closed", kind: folder, mode: 0o500},
		{name: "usr/closed/in", text: "in", mode: 0o400},
		{name: "usr/sparse", text: strings.Repeat("\x00", 1<<20) + "end", xattrs: map[string]string{"user.a": "1", "user.b": "\x00"}},
		{name: "./", kind: folder, mode: 0o511, uid: 11, xattrs: map[string]string{"user.inlay.image": "forged"}},
	}}
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	need.Root(t)
	dir := filepath.Join(t.TempDir(), "deep/er/x")
	r := mustUnpack(t, dir, imageOf(t, everything()...), bundle.Options{})
	const at = "1600000000.123000000"
	want := []string{
		`folder "" 511 11:11 ` + at,
		`folder "usr" 755 0:0 ` + at,
		`symbolic link "usr/absolute" 777 0:0 ` + at + ` to "/etc/passwd"`,
		`folder "usr/bin" 751 7:7 ` + at,
		`regular file "usr/bin/other" 4755 3:3 ` + at + ` security.capability="\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" "tool"`,
		`hard link "usr/bin/same" to "usr/bin/other"`,
		`hard link "usr/bin/tool" to "usr/bin/other"`,
		`folder "usr/closed" 500 0:0 ` + at,
		`regular file "usr/closed/in" 400 0:0 ` + at + ` "in"`,
		`block device "usr/disk" 640 6:6 ` + at + ` 8:300`,
		`folder "usr/empty" 1777 0:0 ` + at,
		`symbolic link "usr/link" 777 9:9 ` + at + ` to "../../etc/passwd"`,
		`character device "usr/null" 666 0:0 ` + at + ` 1:3`,
		`folder "usr/old" 755 0:0 NOW`,
		`regular file "usr/old/new" 644 0:0 ` + at + ` "new"`,
		`fifo "usr/pipe" 622 0:0 ` + at,
		`hard link "usr/pipe2" to "usr/pipe"`,
		`regular file "usr/sparse" 644 0:0 ` + at + ` user.a="1" user.b="\x00" "1048579 bytes"`,
		`regular file "usr/stays" 644 0:0 ` + at + ` user.origin="here" "stays"`,
	}
	got := listing(t, dir)
	for i, line := range got {
		if strings.HasPrefix(line, `folder "usr/old" `) {
			got[i] = strings.Join(append(strings.Fields(line)[:4], "NOW"), " ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var s unix.Stat_t
	if err := unix.Stat(dir+"/usr/sparse", &s); err != nil || s.Blocks*512 > 200<<10 {
		t.Errorf("a hole of a MiB takes %d bytes (%v)", s.Blocks*512, err)
	}
	if want := (bundle.Counts{Files: 5, Folders: 6, Symlinks: 2, Devices: 3, Bytes: 4 + 2 + 3 + 1<<20 + 3 + 5}); *r.Counts != want {
		t.Errorf("counted %+v, want %+v", *r.Counts, want)
	}
	if list := names(t, filepath.Dir(dir)); !slices.Equal(list, []string{"x"}) {
		t.Errorf("left behind: %q", list)
	}
}

// TestUnpackStays holds what is unpacked inside of its folder.
func TestUnpackStays(t *testing.T) {
	t.Parallel()
	link := func(name, target string) entry { return entry{name: name, kind: tar.TypeSymlink, target: target} }
	tests := map[string][][]entry{
		"a link, and a file through it":           {{link("usr", "../../out"), {name: "usr/evil", text: "x"}}},
		"a link below, and a file through it":     {{link("usr", "OUT")}, {{name: "usr/evil", text: "x"}}},
		"an absolute link below":                  {{link("usr/lib", "OUT")}, {{name: "usr/lib/evil", text: "x"}}},
		"a folder through a link":                 {{link("a", "../out")}, {{name: "a/b/", kind: folder}, {name: "a/b/evil", text: "x"}}},
		"a file over a link":                      {{link("evil", "../out/evil")}, {{name: "evil", text: "x"}}},
		"a hard link through a link":              {{link("a", "OUT"), {name: "f", text: "x"}}, {{name: "a/evil", kind: tar.TypeLink, target: "f"}}},
		"a hard link to a file through a link":    {{link("a", "OUT")}, {{name: "stolen", kind: tar.TypeLink, target: "a/secret"}}},
		"a hard link to a link that leads out":    {{link("a", "OUT/secret")}, {{name: "b", kind: tar.TypeLink, target: "a"}, {name: "b", text: "x"}}},
		"a whiteout through a link":               {{link("a", "OUT")}, {{name: "a/.wh.secret"}}},
		"an opaque marker through a link":         {{link("a", "OUT")}, {{name: "a/.wh..wh..opq"}}},
		"a chain of links":                        {{link("a", "b"), link("b", "c/.."), link("c", "OUT")}, {{name: "a/evil", text: "x"}}},
		"a link in place of a folder that has it": {{{name: "a/", kind: folder}}, {link("a", "OUT"), {name: "a/evil", text: "x"}}},
		"two dots":                  {{{name: "../out/evil", text: "x"}}},
		"two dots inside":           {{{name: "a/../../out/evil", text: "x"}}},
		"a hard link with two dots": {{{name: "stolen", kind: tar.TypeLink, target: "../out/secret"}}},
		"an absolute name":          {{{name: "/evil", text: "x"}}},
		"a mode through a link":     {{link("a", "OUT")}, {{name: "a", kind: folder, mode: 0o777}}},
	}
	for name, layers := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			out := filepath.Join(work, "out")
			if err := os.Mkdir(out, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(out, "secret"), []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, l := range layers {
				for i := range l {
					l[i].target = strings.ReplaceAll(l[i].target, "OUT", out)
				}
			}
			before := listing(t, out)
			_, err := unpack(t.Context(), filepath.Join(work, "x"), imageOf(t, layers...), bundle.Options{NoSameOwner: true})
			t.Log(err)
			if diff := cmp.Diff(before, listing(t, out)); diff != "" {
				t.Errorf("it reached out:\n%s", diff)
			}
			want := []string{"out"}
			if err == nil {
				want = append(want, "x")
				for _, line := range listing(t, filepath.Join(work, "x")) {
					if strings.Contains(line, `"secret"`) {
						t.Errorf("it took in %s", line)
					}
				}
			}
			if list := names(t, work); !slices.Equal(list, want) {
				t.Errorf("there are %q, want %q", list, want)
			}
		})
	}
}

func TestUnpackReplaces(t *testing.T) {
	t.Parallel()
	one := imageOf(t, []entry{{name: "usr/one", text: "1"}})
	two := imageOf(t, []entry{{name: "usr/two", text: "2"}})
	mine := bundle.Options{NoSameOwner: true}
	again := bundle.Options{NoSameOwner: true, Replace: true}
	for name, o := range map[string]bundle.Options{"by exchange": mine, "by hand": bundle.WithoutExchange(mine)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			dir := filepath.Join(work, "x")
			if r := mustUnpack(t, dir, one, o); r.Same || r.Replaced || len(r.Digests) != 1 {
				t.Errorf("first: %+v", r)
			}
			if r := mustUnpack(t, dir, one, o); !r.Same || r.Counts != nil {
				t.Errorf("the same: %+v", r)
			}
			if r := mustUnpack(t, dir, two, o); r.Same || !r.Replaced {
				t.Errorf("another: %+v", r)
			}
			if list := append(names(t, work), names(t, dir+"/usr")...); !slices.Equal(list, []string{"x", "two"}) {
				t.Errorf("there are %q", list)
			}
			if r := mustUnpack(t, dir, two, again); r.Same || !r.Replaced {
				t.Errorf("again: %+v", r)
			}
		})
	}
	t.Run("an empty folder", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if r := mustUnpack(t, dir, one, mine); r.Replaced {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("what others have", func(t *testing.T) {
		t.Parallel()
		work := t.TempDir()
		dir := filepath.Join(work, "x")
		if err := os.MkdirAll(dir+"/theirs", 0o755); err != nil {
			t.Fatal(err)
		}
		before := listing(t, work)
		_, err := unpack(t.Context(), dir, one, mine)
		if _, ok := errors.AsType[*bundle.OccupiedError](err); !ok {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, listing(t, work)); diff != "" {
			t.Error(diff)
		}
		if r := mustUnpack(t, dir, one, again); !r.Replaced {
			t.Errorf("got %+v", r)
		}
		if list := names(t, dir); !slices.Equal(list, []string{"usr"}) {
			t.Errorf("there are %q", list)
		}
	})
	t.Run("a link", func(t *testing.T) {
		t.Parallel()
		work := t.TempDir()
		if err := os.MkdirAll(work+"/there", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("there/x", work+"/x"); err != nil {
			t.Fatal(err)
		}
		if _, err := unpack(t.Context(), work+"/x", one, mine); err == nil {
			t.Error("a link to nothing was taken")
		}
		if err := os.MkdirAll(work+"/there/x", 0o755); err != nil {
			t.Fatal(err)
		}
		mustUnpack(t, work+"/x", one, mine)
		if list := append(names(t, work), names(t, work+"/there/x")...); !slices.Equal(list, []string{"there", "x", "usr"}) {
			t.Errorf("there are %q", list)
		}
	})
}

// TestUnpackFails sees that a failure changes nothing.
func TestUnpackFails(t *testing.T) {
	t.Parallel()
	good := func(t *testing.T) string {
		return imageOf(t, []entry{{name: "usr/one", text: strings.Repeat("one", 1000)}})
	}
	tests := map[string]struct {
		ref   func(t *testing.T) string
		put   func(t *testing.T, dir string)
		wrong string
	}{
		"a damaged blob": {func(t *testing.T) string { return damage(t, good(t)) }, nil, "digest|checksum|gzip"},
		"a file":         {good, func(t *testing.T, dir string) { check(t, os.WriteFile(dir, []byte("x"), 0o600)) }, "no folder"},
		"a busy place":   {good, func(t *testing.T, dir string) { lockFolder(t, filepath.Dir(dir)+"/.#x.inlay") }, "another command"},
		"an empty image": {func(t *testing.T) string { return imageOf(t, []entry{}) }, nil, "holds no files"},
		"deep folders": {func(t *testing.T) string {
			return imageOf(t, []entry{{name: strings.Repeat("a/", 600) + "b", text: "x"}})
		}, nil, "deep"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			dir := filepath.Join(work, "x")
			if c.put != nil {
				c.put(t, dir)
			}
			before := listing(t, work)
			_, err := unpack(t.Context(), dir, c.ref(t), bundle.Options{NoSameOwner: true})
			if err == nil || !slices.ContainsFunc(strings.Split(c.wrong, "|"), func(w string) bool { return strings.Contains(err.Error(), w) }) {
				t.Errorf("got %v, want %s", err, c.wrong)
			}
			after := listing(t, work)
			if len(before) > 0 && len(after) > 0 {
				before, after = before[1:], after[1:] // the time of the folder itself
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("over what was unpacked before", func(t *testing.T) {
		t.Parallel()
		work := t.TempDir()
		dir := filepath.Join(work, "x")
		o := bundle.Options{NoSameOwner: true}
		mustUnpack(t, dir, good(t), o)
		before := listing(t, dir)
		if _, err := unpack(t.Context(), dir, damage(t, imageOf(t, []entry{{name: "usr/two", text: strings.Repeat("2", 999)}})), o); err == nil {
			t.Error("a damaged image was taken")
		}
		if diff := cmp.Diff(before, listing(t, dir)); diff != "" {
			t.Error(diff)
		}
		if list := names(t, work); !slices.Equal(list, []string{"x"}) {
			t.Errorf("left behind: %q", list)
		}
	})
	t.Run("where no folder can be made", func(t *testing.T) {
		t.Parallel()
		if _, err := unpack(t.Context(), "/proc/self/inlay/x", good(t), bundle.Options{}); err == nil || !strings.Contains(err.Error(), `opening the folder of "/proc/`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		work := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := unpack(ctx, work+"/a/x", good(t), bundle.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if list := names(t, work); len(list) > 0 {
			t.Errorf("left behind: %q", list)
		}
	})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestUnpackParts puts one image on top of another.
func TestUnpackParts(t *testing.T) {
	t.Parallel()
	var parts []bundle.Part
	for _, ref := range []string{
		imageOf(t, []entry{{name: "usr/a", text: "1"}, {name: "usr/b", text: "1"}}),
		imageOf(t, []entry{{name: "usr/b", text: "2"}, {name: "usr/.wh.a"}, {name: "usr/c", text: "2"}}),
	} {
		r, err := source.Parse(ref)
		check(t, err)
		im, err := source.Open(t.Context(), r, source.Options{})
		check(t, err)
		defer im.Close()
		parts = append(parts, bundle.Part{Image: im})
	}
	root, err := os.OpenRoot(t.TempDir())
	check(t, err)
	defer root.Close()
	place, err := bundle.Below(root, "/var/x")
	check(t, err)
	o := bundle.Options{NoSameOwner: true}
	r, err := bundle.Unpack(t.Context(), place, parts, o)
	check(t, err)
	if got := fmt.Sprint(names(t, root.Name()+"/var/x/usr"), len(r.Digests)); got != "[b c] 2" {
		t.Errorf("got %s", got)
	}
	if r, err := bundle.Unpack(t.Context(), place, parts, o); err != nil || !r.Same {
		t.Errorf("the same two: %+v, %v", r, err)
	}
	if r, err := bundle.Unpack(t.Context(), place, parts[1:], o); err != nil || r.Same {
		t.Errorf("one of them: %+v, %v", r, err)
	}
}
