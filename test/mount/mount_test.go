package mount_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/mount"
	"inlay/test/need"
)

func TestShow(t *testing.T) {
	t.Parallel()
	need.Root(t)
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "tree"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "tree/file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(folder, "image")
	tool := need.Tool(t, "mkfs.erofs", "erofs-utils")
	if text, err := exec.CommandContext(t.Context(), tool, image, filepath.Join(folder, "tree")).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.erofs: %v\n%s", err, text)
	}
	plain, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(folder, "moved")
	if err := os.WriteFile(moved, append(make([]byte, 8192), plain...), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]mount.Area{
		"whole":        {File: image},
		"further on":   {File: moved, Offset: 8192},
		"up to an end": {File: moved, Offset: 8192, Size: int64(len(plain))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := false
			mount.Show(t, "erofs", a, func(folder string) {
				text, err := os.ReadFile(filepath.Join(folder, "file"))
				if seen = true; err != nil || string(text) != "text" {
					t.Errorf("the file holds %q: %v", text, err)
				}
				here, err := os.ReadFile("/proc/self/mounts")
				if err != nil || strings.Contains(string(here), strings.SplitN(folder, "/root", 2)[1]) {
					t.Errorf("others see the mount, too: %v", err)
				}
			})
			if !seen {
				t.Error("nothing was shown")
			}
		})
	}
}
