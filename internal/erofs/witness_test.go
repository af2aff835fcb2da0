package erofs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"inlay/test/need"
)

func TestFsck(t *testing.T) {
	t.Parallel()
	fsck := need.Tool(t, "fsck.erofs", "erofs-utils")
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, build(t, everything()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(fsck, "-d9", image).CombinedOutput()
	t.Logf("%.3000s", out)
	if err != nil {
		t.Fatalf("%v", err)
	}
}
