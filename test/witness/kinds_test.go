package witness_test

import (
	"os"
	"path/filepath"
	"testing"

	"inlay/test/need"
)

// TestConfext has a configuration extension judged, signed with each kind of key.
func TestConfext(t *testing.T) {
	t.Parallel()
	need.Root(t)
	tree := filepath.Join(t.TempDir(), "tree")
	write(t, filepath.Join(tree, "etc/witness.conf"), "answer=42\n", 0o644)
	for _, algorithm := range []string{"rsa4096", "p256", "p384"} {
		built := build(t, nil, newExtensionKey(t, algorithm), "witness", "dir:"+tree, "--kind", "confext")
		wantTree(t, snapshot(t, tree), judge(t, built), "etc/extension-release.d/extension-release.witness")
	}
}

// TestSquashfs packs everything that squashfs can hold: it has whole seconds
// only, and no attributes but user, trusted and security ones.
func TestSquashfs(t *testing.T) {
	t.Parallel()
	need.Root(t)
	folder := t.TempDir()
	tree := filepath.Join(folder, "tree")
	everything(t, tree)
	if err := filepath.WalkDir(tree, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			command(t, nil, "touch", "--no-dereference", "-d", "2001-02-03 04:05:06 UTC", path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	k := newKey(t)
	built := build(t, nil, k, "squash", "dir:"+tree, "--filesystem", "squashfs", "--owner", "keep")
	wantTree(t, snapshot(t, tree), judge(t, built), "usr/lib/extension-release.d/extension-release.squash")
	if again := build(t, nil, k, "squash", "dir:"+tree, "--filesystem", "squashfs", "--owner", "keep"); again.SHA256 != built.SHA256 {
		t.Error("two runs give different bytes")
	}
}
