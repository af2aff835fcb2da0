package mount

import "os"

// Break makes t a tree that the kernel will refuse to attach: one whose root is
// the folder f, which is no mount.
func Break(t *Tree, f *os.File) {
	t.root.Close()
	t.root = f
	if t.name != "" {
		_ = t.m.stage.drop(t.name)
		t.name = ""
	}
}
