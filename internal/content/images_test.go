package content_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/content"
)

var update = flag.Bool("update", false, "rewrite testdata/tree.txt from the squashfs")

// image unpacks an image in testdata.
func image(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b []byte) *content.Tree {
	t.Helper()
	tree, err := content.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// fileSystems are those of testdata: blkid's word, and what else they are.
func fileSystems() []string { return []string{"erofs", "erofs-lz4", "squashfs", "ext4"} }

// kindOf is blkid's word for an image of testdata.
func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, "-")
	return kind
}

// listing describes a whole tree, but for what file systems have of their own:
// the links of the root, and ext4's place for what fsck finds.
func listing(t testing.TB, tree *content.Tree) string {
	t.Helper()
	var b strings.Builder
	err := tree.Walk(t.Context(), func(f *content.File) error {
		if f.Path == "lost+found" {
			return nil
		}
		if f.Path == "." {
			f.Links, f.MTime = 0, time.Time{}
		}
		fmt.Fprintf(&b, "%06o %d %d:%d %d %d:%d %s %q %q", f.Mode, f.Links, f.UID, f.GID, f.Size, f.Major, f.Minor,
			f.MTime.Format(time.RFC3339Nano), f.Path, f.Target)
		for _, x := range f.Xattrs {
			fmt.Fprintf(&b, " %s=%q", x.Name, x.Value)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestSameTree reads one tree from every file system.
func TestSameTree(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.WriteFile("testdata/tree.txt", []byte(listing(t, open(t, image(t, "squashfs")))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/tree.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range fileSystems() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			tree := open(t, image(t, kind))
			if tree.FileSystem() != kindOf(kind) {
				t.Errorf("it is called %q", tree.FileSystem())
			}
			if diff := cmp.Diff(string(want), listing(t, tree)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// TestContent reads files through names that lead there in many ways.
func TestContent(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, "line %04d\n", i)
	}
	cases := map[string]struct{ clean, text string }{
		"usr/bin/tool":                {"usr/bin/tool", "hello\n"},
		"/usr//./bin/../bin/same":     {"usr/bin/same", "hello\n"},
		"usr/lib/relative":            {"usr/bin/tool", "hello\n"},
		"lib/absolute":                {"usr/bin/tool", "hello\n"},
		"usr/lib/above":               {"etc/passwd", "root:x:0:0::/root:/bin/sh\n"},
		"../../etc/passwd":            {"etc/passwd", "root:x:0:0::/root:/bin/sh\n"},
		"usr/bin/nothing":             {"usr/bin/nothing", ""},
		"lib/lines":                   {"usr/lib/lines", lines.String()},
		"lib/sparse":                  {"usr/lib/sparse", strings.Repeat("\x00", 20_000) + "end"},
		"lib/with space#and\nnewline": {"usr/lib/with space#and\nnewline", "x"},
	}
	for _, kind := range fileSystems() {
		for name, c := range cases {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				tree := open(t, image(t, kind))
				text, err := tree.ReadFile(name, 1<<20)
				if err != nil || string(text) != c.text {
					t.Errorf("got %.50q and %v", text, err)
				}
				clean, f, err := tree.Resolve(name)
				if err != nil || clean != c.clean || f.Path != c.clean {
					t.Errorf("it leads to %q (%v)", clean, err)
				}
			})
		}
	}
}

// TestRefused asks for what cannot be given.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, kind := range fileSystems() {
		tree := open(t, image(t, kind))
		for name, want := range map[string]string{
			"usr/nowhere": "file does not exist", "usr/lib/dangling": "file does not exist", "usr/lib/circle": "too many levels",
			"usr/bin/tool/x": "not a directory", "usr/lib": "is a directory", "usr/lib/null": "no regular file", "": "is a directory",
			"usr/lib/lines": "more than 100",
		} {
			_, err := tree.ReadFile(name, 100)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: reading %q: %v", kind, name, err)
			}
		}
		if f, err := tree.Lstat("lib/dangling"); err != nil || f.Target != "nowhere" || f.Path != "usr/lib/dangling" {
			t.Errorf("%s: a dangling link is %+v, %v", kind, f, err)
		}
		names, err := tree.Regular("lib")
		if diff := cmp.Diff([]string{"lines", "sparse", "with space#and\nnewline", "é"}, names); diff != "" || err != nil {
			t.Errorf("%s: regular files: %v\n%s", kind, err, diff)
		}
		value, found, err := tree.Xattr("lib/extension-release.d/extension-release.tree", "user.extension-release.strict")
		if string(value) != "false" || !found || err != nil {
			t.Errorf("%s: the attribute is %q, %v, %v", kind, value, found, err)
		}
		if _, found, err := tree.Xattr("usr/bin/tool", "user.nothing"); found || err != nil {
			t.Errorf("%s: an attribute out of nowhere, or %v", kind, err)
		}
	}
}

func TestUnder(t *testing.T) {
	t.Parallel()
	b := image(t, "squashfs")
	tree := open(t, b).Under("usr")
	// Absolute links in there start from the new root.
	if _, err := tree.ReadFile("usr/usr/lib/relative", 100); err != nil {
		t.Error(err)
	}
	if _, err := tree.ReadFile("usr/usr/lib/absolute", 100); err == nil {
		t.Error("an absolute link leads below where the tree lies")
	}
	if f, err := tree.Lstat("usr/etc"); err != nil || f.Type() != content.TypeFolder {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestUnread names what it does not read.
func TestUnread(t *testing.T) {
	t.Parallel()
	change := func(kind string, at int, to ...byte) []byte {
		b := image(t, kind)
		copy(b[at:], to)
		if kind == "erofs" { // whose superblock has a checksum, over its block
			clear(b[1028:1032])
			binary.LittleEndian.PutUint32(b[1028:], ^crc32.Checksum(b[1024:4096], crc32.MakeTable(crc32.Castagnoli)))
		}
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want content.Unread
	}{
		"nothing":                      {make([]byte, 5000), content.Unread{}},
		"short":                        {[]byte("hsq"), content.Unread{}},
		"xfs":                          {append([]byte("XFSB"), make([]byte, 600)...), content.Unread{FileSystem: "xfs"}},
		"erofs of packed inodes":       {change("erofs", 1024+81, 1), content.Unread{FileSystem: "erofs", Feature: "a metadata inode"}},
		"erofs of strange compression": {change("erofs", 1024+80, 2, 0, 0, 0, 0x10), content.Unread{FileSystem: "erofs", Feature: "compression by methods 0x10"}},
		"erofs of devices":             {change("erofs", 1024+86, 1), content.Unread{FileSystem: "erofs", Feature: "data on other devices"}},
		"erofs of tomorrow":            {change("erofs", 1024+83, 0x80), content.Unread{FileSystem: "erofs", Feature: "features 0x80000000"}},
		"squashfs of lzo":              {change("squashfs", 20, 3), content.Unread{FileSystem: "squashfs", Feature: "compression by lzo"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := content.Open(bytes.NewReader(c.b), int64(len(c.b)))
			unread, ok := errors.AsType[*content.Unread](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(&c.want, unread); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCutShort opens images that end before the file system does.
func TestCutShort(t *testing.T) {
	t.Parallel()
	for _, kind := range fileSystems() {
		b := image(t, kind)
		_, size := content.Probe(bytes.NewReader(b), int64(len(b)))
		if size <= 0 || size > int64(len(b)) {
			t.Errorf("%s: %d bytes of %d", kind, size, len(b))
		}
		_, err := content.Open(bytes.NewReader(b[:size-1]), size-1)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("it takes %d bytes and there are %d", size, size-1)) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
