package verity_test

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"inlay/internal/verity"
)

// TestVerifyProgress counts the blocks that are reported, and what is read: all
// of it once, and nothing else.
func TestVerifyProgress(t *testing.T) {
	t.Parallel()
	const count = 128*128 + 300
	d := newDevice(t, params(t).Salt, random(6, count))
	// A slow tree makes workers want the same block at the same time.
	data, hash := &counter{ReaderAt: d.data}, &counter{ReaderAt: delayed{d.hash, time.Millisecond}}
	var blocks atomic.Uint64
	err := verity.Verify(t.Context(), d.super, d.root, data, hash, verity.VerifyOptions{
		Workers: 5, Progress: func(n uint64) { blocks.Add(n) },
	})
	if err != nil || blocks.Load() != count {
		t.Errorf("%d blocks of %d: %v", blocks.Load(), count, err)
	}
	data.want(t, "data", 0, count)
	hash.want(t, "hash tree", 1, 1+d.super.HashBlocks())
}

// counter counts how often each block is read.
type counter struct {
	io.ReaderAt
	mu    sync.Mutex
	times map[uint64]int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[uint64]int{}
	}
	for i := off / blockSize; i*blockSize < off+int64(len(p)); i++ {
		c.times[uint64(i)]++
	}
	return n, err
}

func (c *counter) want(t *testing.T, what string, first, end uint64) {
	t.Helper()
	if uint64(len(c.times)) != end-first {
		t.Errorf("%s: %d blocks were read, not %d", what, len(c.times), end-first)
	}
	for i := first; i < end; i++ {
		if c.times[i] != 1 {
			t.Errorf("%s: block %d was read %d times", what, i, c.times[i])
		}
	}
}

// delayed is a device that takes its time.
type delayed struct {
	io.ReaderAt
	by time.Duration
}

func (d delayed) ReadAt(p []byte, off int64) (int, error) {
	time.Sleep(d.by)
	return d.ReaderAt.ReadAt(p, off)
}

// TestVerifyStops wants little to be read after a wrong block. On a busy machine
// all of it may have been read when that is found, but not each time.
func TestVerifyStops(t *testing.T) {
	t.Parallel()
	const count = 10_000
	whole := newDevice(t, params(t).Salt, random(8, count))
	for range 10 {
		data := &counter{ReaderAt: delayed{whole.data, time.Millisecond}}
		d := whole
		d.data = flipped{data, []int64{0}}
		sameBlock(t, d.verify(t, 3), &verity.BlockError{})
		if len(data.times) < count/2 {
			return
		}
	}
	t.Error("all is read even if the first block is wrong")
}

// race is a device of two units, both of which somebody must have begun to read
// before either goes on; the one that begins with slow then comes later.
type race struct {
	io.ReaderAt
	both *sync.WaitGroup
	slow int64
}

func (r race) ReadAt(p []byte, off int64) (int, error) {
	if off%(256*blockSize) == 0 {
		r.both.Done()
		r.both.Wait()
		if off == r.slow {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return r.ReaderAt.ReadAt(p, off)
}

// TestVerifyFirstOfTwo has two workers find a wrong block each, in either order.
func TestVerifyFirstOfTwo(t *testing.T) {
	t.Parallel()
	whole := newDevice(t, params(t).Salt, random(9, 512))
	for _, slow := range []int64{0, 256 * blockSize} {
		d := whole
		var both sync.WaitGroup
		both.Add(2)
		d.data = race{flipped{d.data, []int64{5 * blockSize, 261 * blockSize}}, &both, slow}
		sameBlock(t, d.verify(t, 2), &verity.BlockError{Block: 5})
	}
}
