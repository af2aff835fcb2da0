package verity_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"inlay/internal/verity"
)

// TestVerifyUnreadable wants a device's own error, and a wrong block only where
// that comes first.
func TestVerifyUnreadable(t *testing.T) {
	t.Parallel()
	const count = 1000
	fault := errors.New("bad sector")
	whole := newDevice(t, params(t).Salt, random(4, count))
	end := whole.super.Size()
	for name, test := range map[string]struct {
		change func(d *device)
		want   error
		text   string
		block  *verity.BlockError
	}{
		"no data":        {func(d *device) { d.data = short(d.data, 0) }, io.ErrUnexpectedEOF, "reading data at byte 0: ", nil},
		"data ends":      {func(d *device) { d.data = short(d.data, count*blockSize-1) }, io.ErrUnexpectedEOF, "reading data at byte 4095999: ", nil},
		"data ends soon": {func(d *device) { d.data = short(d.data, 300*blockSize) }, io.ErrUnexpectedEOF, "reading data at byte 1228800: ", nil},
		"no tree":        {func(d *device) { d.hash = short(d.hash, blockSize) }, io.ErrUnexpectedEOF, "reading hash tree at byte 4096: ", nil},
		"tree ends":      {func(d *device) { d.hash = short(d.hash, end-1) }, io.ErrUnexpectedEOF, "reading hash tree at byte 40959: ", nil},
		"bad sector":     {func(d *device) { d.data = broken{d.data, 301 * blockSize, fault} }, fault, "reading data at byte 1232896: ", nil},
		"bad hash":       {func(d *device) { d.hash = broken{d.hash, end - blockSize, fault} }, fault, "reading hash tree at byte 36864: ", nil},
		"wrong before":   {func(d *device) { d.data = flipped{broken{d.data, 301 * blockSize, fault}, []int64{300 * blockSize}} }, nil, "", &verity.BlockError{Block: 300}},
		"wrong behind":   {func(d *device) { d.data = flipped{broken{d.data, 301 * blockSize, fault}, []int64{600 * blockSize}} }, fault, "reading data at byte 1232896: ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := whole
			test.change(&d)
			for _, workers := range []int{1, 2, 9} {
				err := d.verify(t, workers)
				if test.block != nil {
					sameBlock(t, err, test.block)
					continue
				}
				if _, isBlock := errors.AsType[*verity.BlockError](err); isBlock || !errors.Is(err, test.want) || err.Error() != test.text+test.want.Error() {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	whole := newDevice(t, nil, random(5, 2))
	for name, change := range map[string]func(s *verity.Superblock){
		"no superblock": func(s *verity.Superblock) { *s = verity.Superblock{} },
		"too much data": func(s *verity.Superblock) { s.DataBlocks = 1<<36 + 1 },
		"long salt":     func(s *verity.Superblock) { s.Salt = make([]byte, 257) },
	} {
		d := whole
		change(&d.super)
		if err := d.verify(t, 0); err == nil {
			t.Errorf("%s: verified", name)
		}
		p := make([]byte, 1)
		if n, err := d.reader().ReadAt(p, 0); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: read %d bytes: %v", name, n, err)
		}
	}
}

// TestVerifyProgress counts the blocks that are reported, and what is read: all
// of it once, and nothing else.
func TestVerifyProgress(t *testing.T) {
	t.Parallel()
	const count = 128*128 + 300
	d := newDevice(t, params(t).Salt, random(6, count))
	data, hash := &counter{ReaderAt: d.data}, &counter{ReaderAt: d.hash}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[uint64]int{}
	}
	for i := off / blockSize; i*blockSize < off+int64(len(p)); i++ {
		c.times[uint64(i)]++
	}
	return c.ReaderAt.ReadAt(p, off)
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

func TestVerifyCancelled(t *testing.T) {
	t.Parallel()
	d := newDevice(t, params(t).Salt, random(7, 2000))
	if err := verity.Verify(cancelled(t), d.super, d.root, d.data, d.hash, verity.VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var blocks uint64
	err := verity.Verify(ctx, d.super, d.root, d.data, d.hash, verity.VerifyOptions{
		Workers: 1, Progress: func(n uint64) { blocks += n; cancel() },
	})
	if !errors.Is(err, context.Canceled) || blocks == 0 || blocks == 2000 {
		t.Errorf("cancelled after %d blocks: %v", blocks, err)
	}
}
