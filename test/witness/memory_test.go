package witness_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMemory holds a build to its promise: at most 64 MiB, 0.8 % of the data
// and half a KiB a file, whatever the source.
func TestMemory(t *testing.T) {
	t.Parallel()
	const (
		files = 30_000
		data  = 512 << 20
		most  = 64<<20 + data/1000*8 + files*512
	)
	folder := t.TempDir()
	usr := filepath.Join(folder, "tree/usr/share/many")
	for i := range files {
		write(t, filepath.Join(usr, fmt.Sprint(i/1000), fmt.Sprint(i)), fmt.Sprintf("%2000d", i), 0o644)
	}
	large := filepath.Join(folder, "tree/usr/large")
	write(t, large, "", 0o644)
	if err := os.Truncate(large, data); err != nil {
		t.Fatal(err)
	}
	layer := filepath.Join(folder, "layer.tar")
	command(t, nil, "tar", "--create", "--sparse", "--file", layer, "--directory", filepath.Join(folder, "tree"), "--sort=name", "usr")
	for name, source := range map[string]string{"tar": "file:" + layer, "folder": "dir:" + filepath.Join(folder, "tree")} {
		c := exec.CommandContext(t.Context(), inlay, "build", "large", source, "--quiet", "--output", folder)
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			t.Fatal("no resource usage")
		}
		used := usage.Maxrss << 10
		t.Logf("%s: %d MiB of at most %d", name, used>>20, most>>20)
		if used > most {
			t.Errorf("building from a %s took %d MiB, more than %d", name, used>>20, most>>20)
		}
	}
}
