package squashfs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"inlay/internal/squashfs"
	"inlay/test/debian"
	"inlay/test/need"
)

// variants are ways to call mksquashfs that take all of its compressors and of
// its layouts between them.
func variants() map[string]string {
	return map[string]string{
		"gzip":              "-comp gzip",
		"gzip options":      "-comp gzip -Xcompression-level 2 -Xwindow-size 10 -Xstrategy filtered,huffman_only",
		"gzip small blocks": "-comp gzip -b 4K",
		"gzip large blocks": "-comp gzip -b 1M -always-use-fragments",
		"zstd":              "-comp zstd -Xcompression-level 3",
		"zstd large blocks": "-comp zstd -Xcompression-level 19 -b 1M",
		"lz4":               "-comp lz4",
		"lz4 hc":            "-comp lz4 -Xhc -b 512K",
		"xz":                "-comp xz",
		"xz filters":        "-comp xz -Xbcj x86,arm,armthumb -Xdict-size 8K -b 32K",
		"no fragments":      "-comp zstd -no-fragments -no-exports -no-sparse",
		"nothing packed":    "-comp gzip -noI -noId -noD -noF -noX",
		"only inodes":       "-comp gzip -noD -noF -no-duplicates",
		"no attributes":     "-comp lz4 -no-xattrs",
	}
}

// mount has the kernel mount an image, until the test ends.
func mount(t testing.TB, image string) string {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, "squashfs")
	tool := need.Tool(t, "mount", "mount")
	dir := t.TempDir()
	if out, err := exec.Command(tool, "-t", "squashfs", "-o", "loop,ro", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// judge compares what we read in an image with what the kernel does.
func judge(t testing.TB, image string) {
	t.Helper()
	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := squashfs.Open(file, stat.Size())
	if err != nil {
		t.Fatal(err)
	}
	if pad := stat.Size() - f.Size(); pad < 0 || pad >= 4096 {
		t.Errorf("the file system takes %d bytes of a file of %d", f.Size(), stat.Size())
	}
	got, err := read(f, unlimited())
	if err != nil {
		t.Fatal(err)
	}
	compare(t, readOS(t, mount(t, image)), got)
}

// TestKernelAgrees reads what this machine's mksquashfs writes, and a newer
// Debian's.
func TestKernelAgrees(t *testing.T) {
	t.Parallel()
	tool := need.Tool(t, "mksquashfs", "squashfs-tools")
	tools := debian.Tools(t)
	tree := everything(t)
	for name, options := range variants() {
		for _, newer := range []bool{false, true} {
			if newer && !slices.Contains([]string{"gzip", "zstd", "lz4 hc", "xz filters"}, name) {
				continue // the compressors are what differs, if anything does
			}
			t.Run(fmt.Sprintf("%s, newer %t", name, newer), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				image := filepath.Join(dir, "image")
				args := append([]string{tree, image, "-noappend", "-no-progress", "-processors", "1"}, strings.Fields(options)...)
				if newer {
					tools.Run(t, map[string]string{tree: "", dir: ""}, append([]string{"mksquashfs"}, args...)...)
				} else if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
					t.Fatalf("mksquashfs: %v\n%s", err, out)
				}
				judge(t, image)
			})
		}
	}
}
