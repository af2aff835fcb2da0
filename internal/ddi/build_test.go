package ddi_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
)

// memory is a file in memory. Like a file it may be written from several
// goroutines once it is long enough, so it has a fixed capacity.
type memory struct {
	b   []byte
	end int64
}

func newMemory(capacity int64) *memory { return &memory{b: make([]byte, capacity), end: capacity} }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.b[:m.end]).ReadAt(p, off)
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(len(m.b)) {
		return 0, fmt.Errorf("writing %d bytes at %d: no space", len(p), off)
	}
	return copy(m.b[off:], p), nil
}

func (m *memory) Truncate(size int64) error {
	if size > int64(len(m.b)) {
		return errors.New("no space")
	}
	clear(m.b[min(size, m.end):])
	m.end = size
	return nil
}

func (m *memory) Sync() error { return nil }

// bytes returns the content of the file.
func (m *memory) bytes() []byte { return m.b[:m.end] }

var (
	_ ddi.SyncFile = (*memory)(nil)
	// What the EROFS writer wants to write to; formats don't import each other.
	_ interface {
		Buffer() []byte
		Write(buf []byte, off int64) error
		Flush() error
		ReadAt(p []byte, off int64) (int, error)
		Rewrite(p []byte, off int64) error
	} = (*ddi.Data)(nil)
)

const testBlocks = 600 // two whole buffers and a part of one

// seed is that of the golden vectors.
func seed() ddi.Seed {
	return ddi.Seed{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
}

func options(t testing.TB) ddi.Options {
	t.Helper()
	kind, known := gpt.TypeOf(gpt.Discoverable{Designator: gpt.Root, Role: gpt.Signature, Architecture: "x86-64"})
	if !known {
		t.Fatal("no type")
	}
	return ddi.Options{
		Architecture: "x86-64", Salt: seed().Salt(), VerityUUID: seed().VerityUUID(),
		SignatureGUID: seed().Partition(kind, 0), DiskGUID: seed().DiskGUIDOf,
	}
}

// fill writes n blocks, the pieces last first and the first block once more at
// the end, as a file system writer does.
func fill(t testing.TB, d *ddi.Data, n int) {
	t.Helper()
	all := content(n)
	for off := (len(all) - 1) / ddi.BufferSize * ddi.BufferSize; off >= 0; off -= ddi.BufferSize {
		b := d.Buffer()
		if len(b) != ddi.BufferSize {
			t.Fatalf("buffer of %d bytes", len(b))
		}
		b = b[:copy(b, all[off:])]
		if off == 0 {
			clear(b[:4096])
		}
		if err := d.Write(b, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4096)
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, make([]byte, 4096)) {
		t.Fatalf("first block reads %x: %v", got[:16], err)
	}
	if err := d.Rewrite(all[:4096], 0); err != nil {
		t.Fatal(err)
	}
}

// content is n blocks of which no two are the same.
func content(n int) []byte {
	b := make([]byte, n*4096)
	for i := range b {
		b[i] = byte(i*7 + i>>12*13 + i>>20)
	}
	return b
}

// signer makes a signature for a root hash.
type signer func(root ddi.RootHash) *ddi.Signature

func signature(size int) signer {
	return func(root ddi.RootHash) *ddi.Signature {
		return &ddi.Signature{RootHash: root, Fingerprint: [32]byte{0xfe}, PKCS7: bytes.Repeat([]byte{0x30, 0x82}, size/2)}
	}
}

func noSignature(ddi.RootHash) *ddi.Signature { return nil }

// build makes an image of n blocks in a file with room for signatures to come.
func build(t testing.TB, n int, o ddi.Options, s signer, reserve bool) (*memory, ddi.RootHash) {
	t.Helper()
	f := newMemory(int64(n)*4096*102/100 + 2<<20)
	w, err := ddi.NewWriter(f, o)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w.Data(), n)
	root, err := w.Seal(int64(n))
	if err != nil {
		t.Fatal(err)
	}
	size, err := w.Finish(s(root), reserve)
	if err != nil {
		t.Fatal(err)
	}
	if size != f.end {
		t.Fatalf("%d bytes said, %d in the file", size, f.end)
	}
	return f, root
}

func open(t testing.TB, f *memory) *ddi.Image {
	t.Helper()
	im, err := ddi.Open(f, f.end)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
