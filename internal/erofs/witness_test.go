package erofs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"inlay/test/need"
)

// save writes an image into a file of its own.
func save(t testing.TB, image []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// fsck has fsck.erofs check an image, its superblock's checksum included, and
// unpack it into dir unless that is empty.
func fsck(t testing.TB, image, dir string) error {
	t.Helper()
	tool := need.Tool(t, "fsck.erofs", "erofs-utils")
	args := []string{image}
	if dir != "" {
		args = []string{"--extract=" + dir, image}
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	// Version 1.5 complains of a wrong checksum and yet exits with 0.
	if err == nil && bytes.Contains(out, []byte("<E>")) {
		err = errors.New("it complains")
	}
	if err != nil {
		return fmt.Errorf("fsck.erofs: %w\n%.2000s", err, out)
	}
	return nil
}

// mount has the kernel mount an image, until the test ends.
func mount(t testing.TB, image string) string {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, "erofs")
	tool := need.Tool(t, "mount", "mount")
	dir := t.TempDir()
	if out, err := exec.Command(tool, "-t", "erofs", "-o", "loop,ro", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// fsckBlind leaves out what fsck.erofs 1.5 doesn't unpack, and modification
// times that a disk's file system may not hold.
func fsckBlind(_ string, r *record) {
	r.Links, r.SameAs, r.Xattrs = 0, "", nil
	r.Mode &^= syscall.S_ISUID | syscall.S_ISGID // chown comes last there
	if r.Sec < 0 || r.Sec > 1<<31 {
		r.Sec, r.Nsec = 0, 0
	}
}

// witnessed are trees that take all of the format between them.
func witnessed() map[string]*node {
	trees := map[string]*node{
		"everything": everything(),
		"many files": manyFiles(),
		"empty":      folder(0o755, nil),
	}
	for seed := range uint64(8) {
		trees[fmt.Sprint("random ", seed)] = randomTree(seed)
	}
	return trees
}

func TestKernelReadsBack(t *testing.T) {
	t.Parallel()
	for name, root := range sorted(witnessed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := save(t, build(t, root))
			compare(t, want(root), readOS(t, mount(t, image)), nil)
		})
	}
}

func TestFsckExtracts(t *testing.T) {
	t.Parallel()
	need.Root(t) // to make devices and give files away
	for name, root := range sorted(witnessed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := save(t, build(t, root))
			dir := filepath.Join(t.TempDir(), "extracted")
			if name == "many files" { // as many seconds to make and remove
				dir = ""
			}
			if err := fsck(t, image, dir); err != nil {
				t.Fatal(err)
			}
			if dir != "" {
				compare(t, want(root), readOS(t, dir), fsckBlind)
			}
		})
	}
}

// TestKernelFindsNames looks each name up, which unlike listing a folder is a
// binary search in its blocks.
func TestKernelFindsNames(t *testing.T) {
	t.Parallel()
	root := everything()
	dir := mount(t, save(t, build(t, root)))
	for path := range want(root) {
		if _, err := os.Lstat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{"nothing", "large/x", "!", "~"} {
		if _, err := os.Lstat(filepath.Join(dir, path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("looking %q up: %v", path, err)
		}
	}
}

// TestFsckRefusesDamage shows that the checksum is looked at.
func TestFsckRefusesDamage(t *testing.T) {
	t.Parallel()
	image := build(t, everything())
	image[1024+48] ^= 1 // the UUID, which only the checksum guards
	if err := fsck(t, save(t, image), ""); err == nil {
		t.Error("a changed superblock passes")
	}
}
