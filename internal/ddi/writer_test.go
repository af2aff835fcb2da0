package ddi_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/verity"
)

func TestWriterLayout(t *testing.T) {
	t.Parallel()
	const data, hash int64 = testBlocks * 4096, (1 + 5 + 1) * 4096
	for name, test := range map[string]struct {
		signer  signer
		reserve bool
		sig     int64 // size of the signature partition
		sigErr  error
	}{
		"signed":          {signature(1200), false, 16384, nil},
		"large signature": {signature(13000), false, 20480, nil},
		"deferred":        {noSignature, true, 16384, ddi.ErrDeferred},
		"unsigned":        {noSignature, false, 0, ddi.ErrUnsigned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, root := build(t, testBlocks, options(t), test.signer, test.reserve)
			if want := 1<<20 + data + hash + 20480 + test.sig; f.end != want {
				t.Errorf("image of %d bytes, want %d", f.end, want)
			}
			im := open(t, f)
			if got, err := im.RootHash(); err != nil || got != root {
				t.Errorf("root hash %x, want %x: %v", got, root, err)
			}
			sig, err := im.Signature()
			if !errors.Is(err, test.sigErr) {
				t.Errorf("signature: %v, want %v", err, test.sigErr)
			}
			if diff := cmp.Diff(test.signer(root), sig); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(readAll(t, im.FileSystem()), content(testBlocks)) {
				t.Error("the data partition holds something else")
			}
			super, err := im.Superblock()
			if err != nil || super.DataBlocks != testBlocks || super.UUID != seed().VerityUUID() || !bytes.Equal(super.Salt, seed().Salt()) {
				t.Errorf("superblock %+v: %v", super, err)
			}
			if got := im.Table.DiskGUID; got != seed().DiskGUIDOf(root) {
				t.Errorf("disk GUID %s", got)
			}
			want := []string{
				"1 root-x86-64 1048576+2457600", "2 root-x86-64-verity 3506176+28672",
				fmt.Sprintf("3 root-x86-64-verity-sig 3534848+%d", test.sig),
			}
			if test.sig == 0 {
				want = want[:2]
			}
			if diff := cmp.Diff(want, partitions(t, im)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// partitions describes the partitions of an image, all of which must be marked
// read-only and nothing else, and carry the name of their type.
func partitions(t *testing.T, im *ddi.Image) []string {
	t.Helper()
	var all []string
	for _, p := range im.Table.Partitions {
		d, _ := gpt.Lookup(p.Type)
		if p.Label != d.String() || p.Attributes != 1<<60 {
			t.Errorf("partition %d has the label %q and attributes %x", p.Number, p.Label, p.Attributes)
		}
		all = append(all, fmt.Sprintf("%d %s %d+%d", p.Number, d, im.Table.Offset(p), im.Table.Length(p)))
	}
	return all
}

func TestWriterSameBytes(t *testing.T) {
	t.Parallel()
	var first [32]byte
	for _, workers := range []int{1, 2, 3, 8, 0} {
		o := options(t)
		o.Workers = workers
		f, _ := build(t, testBlocks, o, signature(1200), false)
		sum := sha256.Sum256(f.bytes())
		if workers == 1 {
			first = sum
		}
		if sum != first {
			t.Errorf("%d workers make another image", workers)
		}
	}
}

func TestWriterOneBlock(t *testing.T) {
	t.Parallel()
	f, root := build(t, 1, options(t), noSignature, true)
	if got, err := open(t, f).RootHash(); err != nil || got != root {
		t.Errorf("root hash %x, want %x: %v", got, root, err)
	}
}

func TestWriterOptions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*ddi.Options)
		want   string
	}{
		"architecture": {func(o *ddi.Options) { o.Architecture = "amd64" }, `architecture "amd64"`},
		"salt":         {func(o *ddi.Options) { o.Salt = make([]byte, 257) }, "salt of 257 bytes"},
		"disk GUID":    {func(o *ddi.Options) { o.DiskGUID = nil }, "no disk GUID"},
	} {
		o := options(t)
		test.change(&o)
		if _, err := ddi.NewWriter(newMemory(0), o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}

// TestWriterMisuse writes what a defective file system writer might.
func TestWriterMisuse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		use  func(w *ddi.Writer) error
		want string
	}{
		"odd length":   {func(w *ddi.Writer) error { return w.Data().Write(w.Data().Buffer()[:5000], 0) }, "not whole blocks"},
		"odd offset":   {func(w *ddi.Writer) error { return w.Data().Write(w.Data().Buffer()[:4096], 100) }, "not whole blocks"},
		"negative":     {func(w *ddi.Writer) error { return w.Data().Write(w.Data().Buffer()[:4096], -4096) }, "not whole blocks"},
		"rewrite part": {func(w *ddi.Writer) error { return w.Data().Rewrite(make([]byte, 100), 0) }, "not whole blocks"},
		"gap": {func(w *ddi.Writer) error {
			if err := w.Data().Write(w.Data().Buffer()[:4096], 4096); err != nil {
				return err
			}
			_, err := w.Seal(2)
			return err
		}, "block 0 of 2 was never hashed"},
		"fewer blocks": {func(w *ddi.Writer) error {
			if err := w.Data().Write(w.Data().Buffer()[:8192], 0); err != nil {
				return err
			}
			_, err := w.Seal(1)
			return err
		}, "8192 bytes were written"},
		"not sealed": {func(w *ddi.Writer) error { _, err := w.Finish(nil, true); return err }, "not sealed"},
		"another signature": {func(w *ddi.Writer) error {
			if err := w.Data().Write(w.Data().Buffer()[:4096], 0); err != nil {
				return err
			}
			if _, err := w.Seal(1); err != nil {
				return err
			}
			_, err := w.Finish(signature(100)(ddi.RootHash{1}), false)
			return err
		}, "signature is for root hash 0100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := ddi.NewWriter(newMemory(2<<20), options(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := test.use(w); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// TestWriterFullDisk must end with the first error, and without a worker or a
// buffer lost on the way.
func TestWriterFullDisk(t *testing.T) {
	t.Parallel()
	w, err := ddi.NewWriter(newMemory(3<<20), options(t))
	if err != nil {
		t.Fatal(err)
	}
	d := w.Data()
	for i := range int64(100) {
		err = errors.Join(err, d.Write(d.Buffer(), i<<20))
	}
	if err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("writing: %v", err)
	}
	if _, err := w.Seal(100 << 8); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("sealing: %v", err)
	}
	if err := d.Rewrite(make([]byte, 4096), 0); err == nil {
		t.Error("a block is rewritten after an error")
	}
}

// TestWriterFails gives every write behind the data its failure.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	for n := range 100 {
		f := &failing{newMemory(3 << 20), n}
		w, err := ddi.NewWriter(f, options(t))
		if err != nil {
			t.Fatal(err)
		}
		d := w.Data()
		err = d.Write(d.Buffer()[:8192], 0)
		root, sealErr := w.Seal(2)
		_, finishErr := w.Finish(signature(300)(root), false)
		if err := errors.Join(err, sealErr, finishErr); err == nil {
			if n < 6 { // data, superblock, tree, signature, truncate, two tables
				t.Errorf("only %d operations make an image", n)
			}
			return
		} else if !errors.Is(err, errDisk) {
			t.Fatalf("operation %d fails: %v", n, err)
		}
	}
	t.Error("100 operations are not enough")
}

// discard is a file that keeps nothing.
type discard struct{}

func (discard) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (discard) Truncate(int64) error                   { return nil }

// BenchmarkData shows what the device costs: one worker should do as well as
// "plain", which only hashes, and two twice as well on two processors.
func BenchmarkData(b *testing.B) {
	const pieces = 64 // of 1 MiB: more than the processor's caches hold
	b.Run("plain", func(b *testing.B) {
		tree := verity.NewTree(verity.Params{Salt: seed().Salt()})
		var buffers [6][ddi.BufferSize]byte
		b.SetBytes(ddi.BufferSize)
		i := 0
		for b.Loop() {
			tree.HashBlocks(uint64(i%pieces)*256, buffers[i%len(buffers)][:])
			i++
		}
	})
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			o := options(b)
			o.Workers = workers
			w, err := ddi.NewWriter(discard{}, o)
			if err != nil {
				b.Fatal(err)
			}
			d := w.Data()
			b.SetBytes(ddi.BufferSize)
			b.ReportAllocs()
			i := int64(0)
			for b.Loop() {
				if err := d.Write(d.Buffer(), i%pieces<<20); err != nil {
					b.Fatal(err)
				}
				i++
			}
			if err := d.Flush(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
