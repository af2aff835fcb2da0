package erofs_test

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"

	"inlay/internal/erofs"
)

// BenchmarkFile measures the Writer alone: its input is in memory and its
// output goes nowhere.
func BenchmarkFile(b *testing.B) {
	for _, size := range []int{100, 3000, 4096, 10_000, 100_000, 1 << 20, 64 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			content := pattern(size, 1)
			a := attr(syscall.S_IFREG | 0o644)
			a.Sec++ // as in most trees: an inode of 64 bytes
			w := erofs.NewWriter(&discard{}, erofs.Options{BuildTime: buildTime})
			r := bytes.NewReader(content)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(content)
				if _, err := w.File(a, int64(size), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPress measures the way through the queue: with a codec that finds
// nothing worth it, and with one that does.
func BenchmarkPress(b *testing.B) {
	for name, o := range sorted(pressed()) {
		for _, size := range []int{3000, 100_000, 16 << 20} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				content := compressible(size, 1)
				w := erofs.NewWriter(&discard{}, o)
				r := bytes.NewReader(content)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					r.Reset(content)
					if _, err := w.File(attr(syscall.S_IFREG|0o644), int64(size), r); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkFinish measures folders and names.
func BenchmarkFinish(b *testing.B) {
	for _, names := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(names), func(b *testing.B) {
			root := &erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}
			dir := root
			for i := range names {
				if i%20 == 0 {
					dir = &erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755)}
					root.Entries = append(root.Entries, erofs.Dirent{Name: fmt.Sprint(i), Type: syscall.S_IFDIR, Dir: dir})
				}
				dir.Entries = append(dir.Entries, erofs.Dirent{Name: fmt.Sprintf("name-%d", i), Type: syscall.S_IFIFO})
			}
			b.ReportAllocs()
			for b.Loop() {
				w := erofs.NewWriter(&discard{}, erofs.Options{BuildTime: buildTime})
				pipe, err := w.Special(attr(syscall.S_IFIFO | 0o600))
				if err != nil {
					b.Fatal(err)
				}
				for _, e := range root.Entries {
					for i := range e.Dir.Entries {
						e.Dir.Entries[i].Ref = pipe
					}
				}
				if _, err := w.Finish(root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
