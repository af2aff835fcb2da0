package erofs_test

import (
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/erofs"
	"inlay/test/debian"
	"inlay/test/need"
)

// TestKernelReadsPressed has the kernel read what each Codec makes.
func TestKernelReadsPressed(t *testing.T) {
	t.Parallel()
	for name, o := range sorted(pressed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, root := range sorted(pressedTrees()) {
				compare(t, want(root), readOS(t, mount(t, save(t, buildWith(t, root, o)))), nil)
				if t.Failed() {
					t.Fatal("it is tree ", name)
				}
			}
		})
	}
}

// fsckNewest has a new fsck.erofs check an image and returns the folder into
// which it unpacked it.
func fsckNewest(t *testing.T, image []byte) string {
	t.Helper()
	need.Root(t)
	file := save(t, image)
	dir := filepath.Join(t.TempDir(), "extracted")
	out := debian.Tools(t).Run(t, map[string]string{filepath.Dir(file): "", filepath.Dir(dir): ""}, "fsck.erofs", "--extract="+dir, file)
	if strings.Contains(out, "<E>") {
		t.Fatal(out)
	}
	return dir
}

// TestFsckReadsPressed has fsck.erofs check and unpack it: a new one all, the
// host's what it knows.
func TestFsckReadsPressed(t *testing.T) {
	t.Parallel()
	for name, o := range sorted(pressed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, root := range sorted(map[string]*node{"edges": hardToPack(), "random": keep("random 5", func() *node { return randomPressed(5) })}) {
				image, needs := buildNeeding(t, root, o)
				compare(t, want(root), readOS(t, fsckNewest(t, image)), fsckBlind)
				if needs.Kernel.Compare(erofs.DefaultKernel()) <= 0 {
					if err := fsck(t, save(t, image), filepath.Join(t.TempDir(), "old")); err != nil {
						t.Error(err)
					}
				}
				if t.Failed() {
					t.Fatal("it is tree ", name)
				}
			}
		})
	}
}
