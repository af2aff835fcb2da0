package erofs_test

import (
	"bytes"
	"fmt"
	"testing"

	"inlay/internal/erofs"
)

// TestReadNeeds asks images of mkfs.erofs what they take. It must be what the
// feature came with, by the history of Linux.
func TestReadNeeds(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"plain":        "[] 5.4 []",
		"chunks":       "[] 5.15 [sparse files]",
		"lz4-legacy":   "[LZ4] 5.4 [LZ4]",
		"lz4":          "[LZ4] 5.4 [LZ4]",
		"lz4-tails":    "[LZ4] 5.17 [inline tails]",
		"small-blocks": "[LZ4] 6.8 [small blocks]",
		"dedupe":       "[LZ4] 6.1 [fragments]",
		"lzma":         "[LZMA] 5.17 [inline tails]",
		"deflate":      "[DEFLATE] 6.6 [DEFLATE]",
		"zstd":         "[Zstandard] 6.10 [zstd]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := vector(t, name)
			f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
			if err != nil {
				t.Fatal(err)
			}
			n := f.Needs()
			if got := fmt.Sprintf("%v %d.%d %v", f.Algorithms(), n.Kernel.Major, n.Kernel.Minor, n.Because); got != want {
				t.Errorf("it needs %s, want %s", got, want)
			}
		})
	}
}

// TestReadNeedsAsWritten holds what a Writer says of an image to what is read from it.
func TestReadNeedsAsWritten(t *testing.T) {
	t.Parallel()
	root := keep("random 0", func() *node { return randomPressed(0) })
	for name, o := range sorted(pressed()) {
		image, want := buildNeeding(t, root, o)
		f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Needs(); got.Kernel != want.Kernel || fmt.Sprint(got.Because) != fmt.Sprint(want.Because) {
			t.Errorf("%s: reads as %v, was written as %v", name, got, want)
		}
	}
}
