package tree_test

import (
	"archive/tar"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"inlay/internal/tree"
)

// discard is a Sink that keeps nothing.
type discard struct{}

func (discard) Store(_ string, _ *tree.Inode, r io.Reader) error {
	_, err := io.CopyN(io.Discard, r, 1<<20) // a sparse file of a terabyte takes too long
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// FuzzReadTar feeds any bytes through ReadTar and Merge, as one layer and as
// two: whatever comes out is a sound tree.
func FuzzReadTar(f *testing.F) {
	for _, seed := range [][]byte{
		nil,
		pack(f, "dir usr/", "file usr/a x", "link usr/b -> usr/a", "sym lib -> usr", "fifo f", "char c 1:3"),
		pack(f, "hide usr", "opaque lib", "file lib/.wh..wh.aufs x", "file lib/b y", "link c -> lib/b"),
		pack(f, "sym a -> b", "sym b -> a", "link d -> a", "file e/f/g/h x"),
		pack(f, "file a/../b x"),
		pack(f, "file "+strings.Repeat("long/", 60)+"end x"),
		headers(f, &tar.Header{Name: "a", Typeflag: tar.TypeReg, Uid: 1 << 31, Format: tar.FormatGNU}),
		headers(f, &tar.Header{Name: "a", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "y", "LIBARCHIVE.xattr.user.z": "AA"}}),
		append(raw(map[int]string{0: "sparse", 124: "00000000006\x00", 156: "S", 257: "ustar  \x00", 386: "00000001750\x0000000000006\x00", 483: "00000005670\x00"}), make([]byte, 1536)...),
		ended(paxed("13 path=a\x00b\n", "c")),
		ended(raw(map[int]string{0: "d/", 156: "\x00", 257: "\x00\x00\x00\x00\x00\x00\x00\x00"})),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, layers := range [][]tree.Layer{
			{tarLayer("one", data)},
			{tarLayer("one", data), tarLayer("two", data)},
		} {
			tr, _, err := tree.Merge(t.Context(), layers, tree.Options{}, discard{})
			if err != nil {
				continue
			}
			sound(t, tr)
		}
	})
}

// sound checks what holds for every tree.
func sound(t *testing.T, tr *tree.Tree) {
	links := map[*tree.Inode]uint32{}
	before := ""
	for name, ino := range tr.All() {
		links[ino]++
		if path.Clean("/"+name) != "/"+name || strings.ContainsRune(name, 0) {
			t.Errorf("name %q is not clean", name)
		}
		if strings.HasPrefix(path.Base(name), ".wh.") {
			t.Errorf("a whiteout is in the tree: %q", name)
		}
		if name != "" && strings.ReplaceAll(name, "/", "\x00") <= strings.ReplaceAll(before, "/", "\x00") {
			t.Errorf("%q comes after %q", name, before)
		}
		if before = name; tr.Lookup(name) != ino {
			t.Errorf("%q is not found again", name)
		}
		if ino.Kind() == 0 || ino.Kind() == tree.Regular && !ino.Stored {
			t.Errorf("%q: %+v", name, ino)
		}
	}
	for ino, n := range links {
		if ino.Links != n {
			t.Errorf("%d links where there are %d names", ino.Links, n)
		}
	}
}
