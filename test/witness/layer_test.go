package witness_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/need"
)

// TestLayerOfEverything packs a layer that GNU tar made of every kind of file,
// and has all judges compare it with what GNU tar unpacks.
func TestLayerOfEverything(t *testing.T) {
	t.Parallel()
	need.Root(t)
	folder := t.TempDir()
	tree := filepath.Join(folder, "tree")
	everything(t, tree)
	layer := filepath.Join(folder, "layer.tar")
	command(t, nil, "tar", "--create", "--file", layer, "--directory", tree, "--format=posix", "--sort=name",
		"--xattrs", "--xattrs-include=*", "--sparse", "--numeric-owner", "usr")
	built := build(t, nil, newKey(t), "everything", "file:"+layer)
	shown := judge(t, built)
	wantTree(t, snapshot(t, tree), shown, "usr/lib/extension-release.d/extension-release.everything")
}

// TestCompressedLayers packs the same layer plain, with gzip and with zstd, to
// the same bytes.
func TestCompressedLayers(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	usr := filepath.Join(folder, "tree/usr/share/words")
	if err := os.MkdirAll(usr, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(usr, "text"), strings.Repeat("the same words again and again\n", 100_000), 0o644)
	plain := filepath.Join(folder, "layer.tar")
	command(t, nil, "tar", "--create", "--file", plain, "--directory", filepath.Join(folder, "tree"), "--sort=name", "usr")
	command(t, nil, "gzip", "--keep", plain)
	command(t, nil, need.Tool(t, "zstd", "zstd"), "-q", plain)
	k := newKey(t)
	want := build(t, nil, k, "words", "file:"+plain)
	for _, suffix := range []string{".gz", ".zst"} {
		if got := build(t, nil, k, "words", "file:"+plain+suffix); got.SHA256 != want.SHA256 {
			t.Errorf("%s gives other bytes than the plain tar", suffix)
		}
	}
}

// everything makes a tree with each kind of file that an image can hold.
func everything(t *testing.T, tree string) {
	t.Helper()
	bin := filepath.Join(tree, "usr/bin")
	share := filepath.Join(tree, "usr/share/"+strings.Repeat("long-folder-name-", 8))
	for _, folder := range []string{bin, share, filepath.Join(tree, "usr/lib/empty")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(bin, "tool"), "#!/bin/sh\necho tool\n", 0o755)
	write(t, filepath.Join(bin, "setuid"), "x", 0o4755)
	write(t, filepath.Join(bin, "ping"), "y", 0o755)
	write(t, filepath.Join(share, strings.Repeat("n", 255)), "a long name", 0o640)
	write(t, filepath.Join(share, "empty"), "", 0o600)
	write(t, filepath.Join(share, "large"), strings.Repeat("0123456789abcdef", 200_001), 0o644)
	sparse := filepath.Join(share, "sparse")
	write(t, sparse, "head", 0o644)
	for _, args := range [][]string{
		{"truncate", "-s", "3000000", sparse},
		{"ln", filepath.Join(bin, "tool"), filepath.Join(share, "tool-too")},
		{"ln", "-s", "../../usr/bin/tool", filepath.Join(share, "link")},
		{"ln", "-s", "/nowhere/" + strings.Repeat("far/", 200), filepath.Join(share, "dangling")},
		{"mknod", filepath.Join(share, "pipe"), "p"},
		{"mknod", filepath.Join(share, "null"), "c", "1", "3"},
		{"mknod", filepath.Join(share, "disk"), "b", "259", "70000"},
		{"chown", "1234:70000", filepath.Join(share, "empty")},
		{"chmod", "1777", filepath.Join(tree, "usr/lib/empty")},
		{need.Tool(t, "setcap", "libcap2-bin"), "cap_net_raw+ep", filepath.Join(bin, "ping")},
		{need.Tool(t, "setfattr", "attr"), "-n", "trusted.inlay", "-v", strings.Repeat("v", 600), filepath.Join(share, "large")},
		{"touch", "-d", "2001-02-03 04:05:06.789012345 UTC", filepath.Join(bin, "tool")},
	} {
		command(t, nil, args[0], args[1:]...)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// Past the umask, and with the setuid bit where mode is octal 4755.
	perm := mode.Perm()
	if mode&0o4000 != 0 {
		perm |= os.ModeSetuid
	}
	if err := os.Chmod(path, perm); err != nil {
		t.Fatal(err)
	}
}
