package ddi_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"inlay/internal/ddi"
)

// behind is a file that takes down what it is to write through early.
type behind struct {
	*memory
	t     *testing.T
	want  []byte
	mu    sync.Mutex
	parts []int64
}

func (b *behind) WriteBehind(off, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.parts = append(b.parts, off)
	if !bytes.Equal(b.b[off:off+size], b.want[off-ddi.DataOffset:][:size]) {
		b.t.Errorf("%d bytes at %d are to be written through before they are there", size, off)
	}
}

// TestWritesThroughEarly: every part but the last, once it is whole.
func TestWritesThroughEarly(t *testing.T) {
	t.Parallel()
	const blocks, part = 5000, 8 << 20
	f := &behind{memory: newMemory(24 << 20), t: t, want: content(blocks)}
	w, err := ddi.NewWriter(f, options(t))
	if err != nil {
		t.Fatal(err)
	}
	pieces := slices.Collect(slices.Chunk(f.want, ddi.BufferSize))
	for _, first := range []int{1, 0} { // every other one, then the rest
		for i := first; i < len(pieces); i += 2 {
			b := w.Data().Buffer()
			if err := w.Data().Write(b[:copy(b, pieces[i])], int64(i)*ddi.BufferSize); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Seal(blocks); err != nil {
		t.Fatal(err)
	}
	slices.Sort(f.parts)
	if want := []int64{ddi.DataOffset, ddi.DataOffset + part}; !slices.Equal(f.parts, want) {
		t.Errorf("parts at %d are written through, want %d", f.parts, want)
	}
}
