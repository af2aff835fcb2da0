package squashfs_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
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

// TestLargeFile reads a file of more than 4 GiB, most of it hole, with sparse
// blocks in its extended inode.
func TestLargeFile(t *testing.T) {
	t.Parallel()
	need.Root(t)
	tool := need.Tool(t, "mksquashfs", "squashfs-tools")
	const size, chunk = 4<<30 + 77, 1 << 20
	d := &disk{t: t, root: t.TempDir(), rand: rand.NewChaCha8([32]byte{2})}
	// Others fill their page cache with what a hole reads as.
	if err := syscall.Mount("tmpfs", d.root, "tmpfs", 0, "size=16M"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.root, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	d.holes("large", size, 0, 3<<30, 4<<30-50)
	name := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command(tool, d.root, name, "-noappend", "-no-progress", "-comp", "lz4", "-b", "1M").CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v\n%s", err, out)
	}
	image, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := open(image)
	if err != nil {
		t.Fatal(err)
	}
	n := find(t, f, "large")
	r, err := f.Open(n)
	if err != nil {
		t.Fatal(err)
	}
	original, err := os.Open(d.path("large"))
	if err != nil {
		t.Fatal(err)
	}
	defer original.Close()
	got, want, zeros := make([]byte, chunk), make([]byte, chunk), make([]byte, chunk)
	var off int64
	for off < n.Size {
		k, err := io.ReadFull(r, got)
		if err != nil && off+int64(k) != size {
			t.Fatal(err)
		}
		if at := off / chunk; at == 0 || at == 3<<10 || at >= 4<<10-1 {
			if _, err := original.ReadAt(want[:k], off); err != nil {
				t.Fatal(err)
			}
		} else {
			copy(want, zeros)
		}
		if !bytes.Equal(got[:k], want[:k]) {
			t.Fatalf("the content differs after byte %d", off)
		}
		off += int64(k)
	}
	if n.Size != size || off != size {
		t.Errorf("%d bytes of %d read, of %d", off, n.Size, int64(size))
	}
}

// BenchmarkWalk times a walk of many small files, with all of their content.
func BenchmarkWalk(b *testing.B) {
	tool := need.Tool(b, "mksquashfs", "squashfs-tools")
	dir := b.TempDir()
	for i := range 500 {
		sub := filepath.Join(dir, fmt.Sprint("d", i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 100 {
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint("file ", j)), fmt.Append(nil, i, j), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	name := filepath.Join(b.TempDir(), "image")
	if out, err := exec.Command(tool, dir, name, "-noappend", "-no-progress", "-comp", "zstd", "-Xcompression-level", "3").CombinedOutput(); err != nil {
		b.Fatalf("mksquashfs: %v\n%s", err, out)
	}
	image, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := open(image)
		if err != nil {
			b.Fatal(err)
		}
		if got, err := read(f, unlimited()); err != nil || len(got) != 50501 {
			b.Fatal(len(got), err)
		}
	}
}
