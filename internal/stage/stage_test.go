package stage_test

import (
	"os"
	"path/filepath"
	"testing"

	"inlay/internal/stage"
)

func TestCommitReplaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "image.raw")
	write(t, path, "old")
	f, err := stage.Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "old" {
		t.Errorf("before Commit the file holds %q, want the old text", got)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if got := read(t, path); got != "new" {
		t.Errorf("after Commit the file holds %q", got)
	}
	wantOnly(t, filepath.Dir(path), "image.raw")
}

func TestDiscardLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := stage.Create(filepath.Join(dir, "image.raw"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	f.Discard()
	wantOnly(t, dir)
}

func TestCreateRefusesAFoldersName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "image.raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := stage.Create(filepath.Join(dir, "image.raw"), 0o644); err == nil {
		t.Error("a file would replace a folder")
	}
	wantOnly(t, dir, "image.raw")
}

func TestCreateWithoutFolder(t *testing.T) {
	t.Parallel()
	if _, err := stage.Create(filepath.Join(t.TempDir(), "no", "image.raw"), 0o644); err == nil {
		t.Error("no error for a folder that is not there")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Fatalf("the folder holds %v, want %q", entries, names)
	}
	for i, e := range entries {
		if e.Name() != names[i] {
			t.Errorf("the folder holds %q, want %q", e.Name(), names[i])
		}
	}
}

func TestWriteBehind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "image.raw")
	f, err := stage.Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	f.WriteBehind(0, 3)
	f.WriteBehind(0, 8<<20) // there is no such end
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "new" {
		t.Errorf("the file holds %q", got)
	}
	f.WriteBehind(0, 3) // it is closed, and another file may have its number
}
