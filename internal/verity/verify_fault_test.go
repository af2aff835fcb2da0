package verity_test

import (
	"context"
	"errors"
	"io"
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
