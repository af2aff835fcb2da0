package content_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"inlay/internal/content"
)

// TestFolderMissing looks for what is in no folder, and can't be.
func TestFolderMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "usr/lib"), 0o755), os.WriteFile(filepath.Join(dir, "usr/file"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	tree := content.Folder(root)
	for name, want := range map[string]error{
		"none": fs.ErrNotExist, "usr/none/deeper": fs.ErrNotExist, "usr/a\x00b": fs.ErrNotExist,
		strings.Repeat("x", 300): fs.ErrNotExist, "usr/file/x": syscall.ENOTDIR, "usr/lib/..": nil, "usr/lib": nil,
	} {
		if _, err := tree.Lstat(name); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", name, err, want)
		}
	}
	if err := tree.Close(); err != nil {
		t.Error(err)
	}
}

// TestFolderDescriptors sees that a tree holds a folder of each depth open and no
// more, and none once it is closed.
func TestFolderDescriptors(t *testing.T) { //nolint:paralleltest // it counts those of the whole process
	dir := t.TempDir()
	for _, name := range []string{"a/b/c/d", "a/e/f", "g/h"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	open := func() (n int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, dir) {
				n++
			}
		}
		return n
	}
	before, most := open(), 0
	tree := content.Folder(root)
	for range 2 {
		if err := tree.Walk(t.Context(), func(*content.File) error {
			most = max(most, open())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := tree.Close(); err != nil {
			t.Fatal(err)
		}
		if after := open(); after != before {
			t.Errorf("%d descriptors are left", after-before)
		}
	}
	if most-before != 5 {
		t.Errorf("%d folders open at once", most-before)
	}
}
