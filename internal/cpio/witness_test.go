package cpio_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cpio"
	"inlay/test/need"
)

func gnuCpio(t *testing.T, dir string, archive []byte, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), need.Tool(t, "cpio", "cpio"), args...)
	c.Dir, c.Stdin = dir, bytes.NewReader(archive)
	c.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	var errors bytes.Buffer
	c.Stderr = &errors
	out, err := c.Output()
	if err != nil {
		t.Fatalf("cpio %q: %v\n%s", args, err, errors.String())
	}
	return string(out)
}

// GNU cpio lists what we wrote as it was meant.
func TestGNUListsOurs(t *testing.T) {
	t.Parallel()
	const want = `drwxr-xr-x   2 0        0               0 Nov 14  2023 .
drwxrwxrwt   2 0        0               0 Nov 14  2023 dev
crw-rw-rw-   1 0        0          1,   3 Nov 14  2023 dev/null
brw-rw----   1 0        6        259, 70000 Nov 14  2023 dev/disk
prw--w--w-   1 0        0               0 Nov 14  2023 dev/fifo
lrwxrwxrwx   1 0        0               4 Nov 14  2023 init -> a/b1
-rwsr-xr-x   2 1000     70000           0 Nov 14  2023 su
-rwsr-xr-x   2 1000     70000           7 Nov 14  2023 su2
----------   1 0        0               0 Nov 14  2023 empty ` + "\n\xff\n"
	got := gnuCpio(t, t.TempDir(), write(t, sample()), "-itv", "--quiet", "--numeric-uid-gid")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Both names of a hard link get the content, which stands with the last.
func TestGNUExtractsOurs(t *testing.T) {
	t.Parallel()
	var files []file
	for _, f := range sample() {
		if f.Header.Mode&cpio.TypeMask != cpio.Char && f.Header.Mode&cpio.TypeMask != cpio.Block {
			files = append(files, f)
		}
	}
	dir := t.TempDir()
	gnuCpio(t, dir, write(t, files), "-i", "--quiet", "--no-preserve-owner", "-m")
	var infos [2]os.FileInfo
	for i, name := range []string{"su", "su2"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(content) != "content" {
			t.Errorf("%s holds %q (%v)", name, content, err)
		}
		if infos[i], err = os.Stat(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if !os.SameFile(infos[0], infos[1]) {
		t.Error("the hard link became two files")
	}
	if target, err := os.Readlink(filepath.Join(dir, "init")); err != nil || target != "a/b1" {
		t.Errorf("the link leads to %q (%v)", target, err)
	}
}

// We read what GNU cpio writes.
func TestReadsGNUs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"one": "1", "three": "333"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "two")); err != nil {
		t.Fatal(err)
	}
	out := gnuCpio(t, dir, []byte("one\ntwo\nthree\n"), "-o", "-H", "newc", "--quiet")
	files, err := read(bytes.NewReader([]byte(out)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range files {
		got[f.Header.Name] = f.Content
	}
	want := map[string]string{"one": "", "two": "1", "three": "333"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
