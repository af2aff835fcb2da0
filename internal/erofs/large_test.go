package erofs_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"inlay/internal/erofs"
)

// sparse is a Device over a file that leaves out whole buffers below keep, so
// that an image of gigabytes costs nothing.
type sparse struct {
	discard
	file *os.File
	keep int64
}

func (s *sparse) Write(buf []byte, off int64) error {
	if len(buf) < erofs.BufferSize || off >= s.keep {
		if _, err := s.file.WriteAt(buf, off); err != nil {
			return err
		}
	}
	return s.discard.Write(buf, off)
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }

func (s *sparse) Rewrite(p []byte, off int64) error {
	_, err := s.file.WriteAt(p, off)
	return err
}

// hollow is a reader that has read all that is asked for, and puts down no more
// than what keeps it from being a hole.
type hollow struct{}

func (hollow) Read(p []byte) (int, error) {
	p[0] = 1
	return len(p), nil
}

func TestLargeFile(t *testing.T) {
	t.Parallel()
	const size = 5<<30 + 100
	name := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := erofs.NewWriter(&sparse{file: f, keep: 5 << 30}, erofs.Options{BuildTime: buildTime})
	big, err := w.File(attr(syscall.S_IFREG|0o644), size, io.MultiReader(io.LimitReader(hollow{}, size-100), strings.NewReader(strings.Repeat("t", 100))))
	if err != nil {
		t.Fatal(err)
	}
	after := pattern(9000, 5)
	small, err := w.File(attr(syscall.S_IFREG|0o644), int64(len(after)), bytes.NewReader(after))
	if err != nil {
		t.Fatal(err)
	}
	w.SetLinks(small, 2)
	blocks, err := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755), Entries: []erofs.Dirent{
		{Name: "big", Type: syscall.S_IFREG, Ref: big},
		{Name: "small", Type: syscall.S_IFREG, Ref: small},
		{Name: "same", Type: syscall.S_IFREG, Ref: small},
	}})
	if err != nil {
		t.Fatal(err)
	}
	// Block 0, the large file's, two and a tail of the small one, a segment.
	if want := int64(1 + 5<<30/erofs.BlockSize + 2 + 1); blocks != want {
		t.Errorf("image has %d blocks, want %d", blocks, want)
	}

	dir := mount(t, name)
	if info, err := os.Stat(filepath.Join(dir, "big")); err != nil || info.Size() != size {
		t.Errorf("the large file is %v, %v", info, err)
	}
	got, err := os.Open(filepath.Join(dir, "big"))
	if err != nil {
		t.Fatal(err)
	}
	tail := make([]byte, 200)
	n, err := got.ReadAt(tail, size-100)
	if err := got.Close(); err != nil {
		t.Error(err)
	}
	if string(tail[:n]) != strings.Repeat("t", 100) {
		t.Errorf("the large file ends with %q, %v", tail[:n], err)
	}
	for _, name := range []string{"small", "same"} {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(content, after) {
			t.Errorf("%q behind the large file has other content, %v", name, err)
		}
	}
}
