package verity_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"inlay/internal/verity"
)

func TestReader(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 2, 127, 128, 129, 300} {
		data := random(10, count+1)
		d := newDevice(t, params(t).Salt, data[:count*blockSize])
		d.data = bytes.NewReader(data)
		r := d.reader()
		size := int64(count) * blockSize
		if r.Size() != size {
			t.Errorf("%d blocks: size %d", count, r.Size())
		}
		if err := iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), data[:size]); err != nil {
			t.Errorf("%d blocks: %v", count, err)
		}
	}
}

// TestReaderAt reads pieces of every kind, and past the end, where the device
// has a block that nobody vouches for.
func TestReaderAt(t *testing.T) {
	t.Parallel()
	const size = 300 * blockSize
	data := random(11, 301)
	d := newDevice(t, params(t).Salt, data[:size])
	d.data = bytes.NewReader(data)
	r := d.reader()
	for _, test := range []struct {
		off, length int64
		end         error
	}{
		{0, 0, nil},
		{0, 1, nil},
		{1, blockSize, nil},
		{0, blockSize, nil},
		{blockSize - 1, 2, nil},
		{100, 3 * blockSize, nil},
		{127 * blockSize, 2 * blockSize, nil},
		{0, size, nil},
		{17, size - 17, nil},
		{17, size, io.EOF},
		{0, size + 1, io.EOF},
		{0, size + 2*blockSize, io.EOF},
		{size - 1, 1, nil},
		{size - 1, 2, io.EOF},
		{size - blockSize, 2 * blockSize, io.EOF},
		{size, 1, io.EOF},
		{size + 1, 1, io.EOF},
		{1 << 62, 1, io.EOF},
	} {
		p := bytes.Repeat([]byte{0xaa}, int(test.length))
		n, err := r.ReadAt(p, test.off)
		want := data[min(test.off, size):min(test.off+test.length, size)]
		if n != len(want) || !errors.Is(err, test.end) || !bytes.Equal(p[:n], want) {
			t.Errorf("%d bytes at %d: %d bytes, %v", test.length, test.off, n, err)
		}
		if len(bytes.Trim(p[n:], "\xaa")) > 0 {
			t.Errorf("%d bytes at %d: it wrote behind what it read", test.length, test.off)
		}
	}
	if n, err := r.ReadAt(make([]byte, 1), -1); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("before the start: %d bytes, %v", n, err)
	}
}

// TestReaderKeepsWrongBytes reads across a wrong block, or one that can't be
// read: what is before it comes out, and nothing else, not even in the memory
// that was to be filled.
func TestReaderKeepsWrongBytes(t *testing.T) {
	t.Parallel()
	const wrong = 200
	fault := errors.New("bad sector")
	data := bytes.Repeat([]byte{7}, 300*blockSize)
	whole := newDevice(t, params(t).Salt, data)
	for name, test := range map[string]struct {
		change func(d *device)
		good   int64 // bytes
		block  *verity.BlockError
	}{
		"data":       {func(d *device) { d.data = flipped{d.data, []int64{wrong*blockSize + 5}} }, wrong * blockSize, &verity.BlockError{Block: wrong}},
		"hash block": {func(d *device) { d.hash = flipped{d.hash, []int64{3 * blockSize}} }, 128 * blockSize, &verity.BlockError{Level: 1, Block: 1}},
		"top":        {func(d *device) { d.hash = flipped{d.hash, []int64{1 * blockSize}} }, 0, &verity.BlockError{Level: 2}},
		"bad sector": {func(d *device) { d.data = broken{d.data, wrong*blockSize + 100, fault} }, wrong * blockSize, nil},
		"end":        {func(d *device) { d.data = short(d.data, wrong*blockSize+100) }, wrong * blockSize, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := whole
			test.change(&d)
			for _, off := range []int64{0, 10, 190 * blockSize, wrong*blockSize + 1} {
				r := d.reader()
				p := make([]byte, int64(len(data))-off)
				n, err := r.ReadAt(p, off)
				if int64(n) != max(0, test.good-off) || err == nil || errors.Is(err, io.EOF) {
					t.Errorf("from %d: %d bytes, %v", off, n, err)
				}
				if !bytes.Equal(p[:n], data[:n]) || len(bytes.Trim(p[n:], "\x00")) > 0 {
					t.Errorf("from %d: memory holds what nobody vouches for", off)
				}
				if test.block != nil {
					sameBlock(t, err, test.block)
				} else if _, isBlock := errors.AsType[*verity.BlockError](err); isBlock {
					t.Errorf("from %d: %v", off, err)
				}
				// A block that was wrong once is not taken for read.
				if _, err := r.ReadAt(p[:1], test.good); err == nil {
					t.Error("the second time it is right")
				}
			}
		})
	}
}

// turncoat is a device on which each block is right once, and wrong ever after.
type turncoat struct {
	io.ReaderAt
	mu   sync.Mutex
	seen map[int64]bool
}

func newTurncoat(r io.ReaderAt) *turncoat { return &turncoat{ReaderAt: r, seen: map[int64]bool{}} }

func (c *turncoat) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.ReaderAt.ReadAt(p, off)
	for i := off / blockSize; i*blockSize < off+int64(n); i++ {
		if c.seen[i] {
			for at := max(off, i*blockSize); at < min(off+int64(n), (i+1)*blockSize); at++ {
				p[at-off] ^= 0xff
			}
		}
		c.seen[i] = true
	}
	return n, err
}

// TestReaderGivesWhatItChecked reads devices that change behind its back. The
// bytes that come out are those that the root hash vouches for, or there are none.
func TestReaderGivesWhatItChecked(t *testing.T) {
	t.Parallel()
	const count = 2000 // more than are kept
	data := random(12, count)
	d := newDevice(t, params(t).Salt, data)
	for round := range uint64(4) {
		d := d
		d.data = newTurncoat(d.data)
		if round > 1 {
			d.hash = newTurncoat(d.hash)
		}
		r, chance := d.reader(), rand.New(rand.NewPCG(round, 2))
		given, refused := 0, 0
		for range 4000 {
			off := chance.Int64N(int64(len(data)))
			p := make([]byte, 1+chance.IntN(3*blockSize))
			n, err := r.ReadAt(p, off)
			if !bytes.Equal(p[:n], data[off:][:n]) {
				t.Fatalf("%d bytes at %d are not what was checked", len(p), off)
			}
			if err == nil {
				given++
			} else if !errors.Is(err, io.EOF) {
				refused++
			}
		}
		if given == 0 || refused == 0 {
			t.Errorf("%d reads succeeded and %d failed: this shows nothing", given, refused)
		}
	}
}

// TestReaderTogether has many read at once.
func TestReaderTogether(t *testing.T) {
	t.Parallel()
	const count = 128*128 + 129
	data := random(13, count)
	d := newDevice(t, params(t).Salt, data)
	d.data = flipped{d.data, []int64{5000 * blockSize}}
	r := d.reader()
	var busy sync.WaitGroup
	for worker := range uint64(8) {
		busy.Go(func() {
			chance := rand.New(rand.NewPCG(worker, 3))
			p := make([]byte, 200*blockSize)
			for range 100 {
				// Most of them near the wrong block.
				off := 4900*blockSize + chance.Int64N(200*blockSize)
				if chance.IntN(4) == 0 {
					off = chance.Int64N(int64(len(data)))
				}
				length := 1 + chance.IntN(len(p))
				n, err := r.ReadAt(p[:length], off)
				if !bytes.Equal(p[:n], data[off:][:n]) {
					t.Errorf("%d bytes at %d: other bytes than those of the data", length, off)
				}
				end := off + int64(length)
				if wrong := off < 5001*blockSize && end > 5000*blockSize; wrong {
					sameBlock(t, err, &verity.BlockError{Block: 5000})
				} else if past := end > int64(len(data)); err != nil && !past {
					t.Errorf("%d bytes at %d: %v", length, off, err)
				}
			}
		})
	}
	busy.Wait()
}

func BenchmarkReader(b *testing.B) {
	data := random(14, 4096)
	d := newDevice(b, params(b).Salt, data)
	for _, size := range []int{64, blockSize, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := d.reader()
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := r.ReadAt(p, int64(i*size%len(data))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	data := random(15, 1<<14)
	d := newDevice(b, params(b).Salt, data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.verify(b, 0); err != nil {
			b.Fatal(err)
		}
	}
}
