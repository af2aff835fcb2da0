//go:build bench

package bench_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/mount"
	"inlay/test/sfdisk"
)

// judge has the witnesses look at what c has made: fsck.erofs, veritysetup, and
// the kernel, which must show the payload's tree. What a peer loses of modes,
// owners and times is not held against it.
func (b *bench) judge(t *testing.T, c contender) {
	t.Helper()
	file, hash, root := b.bareImage(), b.bareTree(), ""
	kind := "erofs"
	switch c.made {
	case signed:
		parts := sfdisk.Partitions(t, b.image())
		// These tools know no partitions.
		file, hash, root = filepath.Join(b.output(), "data"), filepath.Join(b.output(), "hash"), sfdisk.RootHash(parts)
		sfdisk.Cut(t, b.image(), parts[0], file)
		sfdisk.Cut(t, b.image(), parts[1], hash)
	case bare:
		text, err := os.ReadFile(b.bareRoot())
		if err != nil {
			t.Fatal(err)
		}
		root = strings.TrimSpace(string(text))
	case squashed:
		kind = "squashfs"
	case copied:
		sameFile(t, b.data.tar(), file)
		return
	case unverified:
	}
	binds := map[string]string{b.output(): ""}
	if kind == "erofs" {
		// It ends with 0 over a checksum that is wrong, but says so.
		if said := b.root.Run(t, binds, "fsck.erofs", file); strings.Contains(said, "<E>") {
			t.Errorf("%s: fsck.erofs: %s", c.name, said)
		}
	}
	if root != "" {
		b.root.Run(t, binds, "veritysetup", "verify", file, hash, root)
	}
	mount.Show(t, kind, mount.Area{File: file}, func(folder string) {
		got, err := readTree(folder)
		if err != nil {
			t.Fatal(err)
		}
		if b.added != "" {
			maps.DeleteFunc(got, func(name string, _ entry) bool { return strings.HasPrefix(name, b.added) })
		}
		if err := b.truth.differs(got, !c.peer); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	})
}

func sameFile(t *testing.T, want, got string) {
	t.Helper()
	_, a, err := weigh(want)
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := weigh(got)
	if err != nil {
		t.Fatal(err)
	}
	if a != b {
		t.Errorf("%s is not %s", got, want)
	}
}
