package erofs_test

import (
	"path/filepath"
	"strings"
	"testing"

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

// TestFsckReadsPressed has fsck.erofs check and unpack it: a new one all, the
// host's what it knows.
func TestFsckReadsPressed(t *testing.T) {
	t.Parallel()
	need.Root(t)
	tools := debian.Tools(t)
	for name, o := range sorted(pressed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, root := range sorted(pressedTrees()) {
				image, needs := buildNeeding(t, root, o)
				file := save(t, image)
				dir := filepath.Join(t.TempDir(), "extracted")
				out := tools.Run(t, map[string]string{filepath.Dir(file): "", filepath.Dir(dir): ""},
					"fsck.erofs", "--extract="+dir, file)
				if strings.Contains(out, "<E>") {
					t.Fatal(out)
				}
				compare(t, want(root), readOS(t, dir), fsckBlind)
				if o.Kernel.Major == 0 && needs.Kernel.Major == 5 {
					if err := fsck(t, file, filepath.Join(t.TempDir(), "old")); err != nil {
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
