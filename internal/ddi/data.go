package ddi

import (
	"fmt"
	"sync"
	"sync/atomic"

	"inlay/internal/verity"
)

const (
	// BufferSize is the length in bytes of what Data.Buffer returns.
	BufferSize = 64 << 10
	// HeldBuffers is how many buffers one user of Data may keep at a time
	// without giving one to Write. With more, Buffer may never return.
	HeldBuffers = 4
)

// Data is the data partition of an image in the making: a device of blocks of
// verity.BlockSize bytes, with offsets from the partition's start. What is
// written is hashed for the tree and stored by several workers at once. One
// goroutine at a time may use it.
type Data struct {
	file File
	tree *verity.Tree

	made atomic.Int64 // buffers in existence
	most int64
	free chan []byte
	slot chan struct{} // a worker's place
	busy sync.WaitGroup
	end  int64 // of what was written, in bytes

	mu    sync.Mutex
	err   error // the first one
	early early
}

func newData(f File, t *verity.Tree, workers int) *Data {
	// Two for each worker, one worked on and one waiting, keep all of them busy.
	most := 2*workers + HeldBuffers
	return &Data{
		file: f, tree: t, most: int64(most),
		free: make(chan []byte, most),
		slot: make(chan struct{}, workers),
	}
}

// Buffer returns BufferSize bytes of any content to fill and give to Write. It
// waits until one is free, which bounds the memory in use.
func (d *Data) Buffer() []byte {
	select {
	case b := <-d.free:
		return b
	default:
	}
	if d.made.Add(1) <= d.most {
		return make([]byte, BufferSize)
	}
	d.made.Add(-1)
	return <-d.free
}

// Write stores buf, which comes from Buffer and may have been shortened to any
// number of whole blocks, at the offset off. The buffer belongs to Data from
// here on. An error may be one of an earlier Write.
func (d *Data) Write(buf []byte, off int64) error {
	if err := d.check(len(buf), off); err != nil {
		d.fail(err)
	} else {
		d.end = max(d.end, off+int64(len(buf)))
	}
	if err := d.failed(); err != nil {
		d.release(buf)
		return err
	}
	d.busy.Go(func() {
		d.slot <- struct{}{}
		if err := d.store(buf, off); err != nil {
			d.fail(err)
		}
		<-d.slot
		d.release(buf)
	})
	return nil
}

// Flush waits until everything is stored, and returns the first error of any
// Write.
func (d *Data) Flush() error {
	d.busy.Wait()
	return d.failed()
}

// ReadAt reads what was stored before the last Flush.
func (d *Data) ReadAt(p []byte, off int64) (int, error) {
	return d.file.ReadAt(p, DataOffset+off)
}

// Rewrite replaces whole blocks that were written before, now. It doesn't keep p.
func (d *Data) Rewrite(p []byte, off int64) error {
	if err := d.check(len(p), off); err != nil {
		return err
	}
	// A Write of the same blocks that is still under way must not come later.
	if err := d.Flush(); err != nil {
		return err
	}
	d.end = max(d.end, off+int64(len(p)))
	return d.store(p, off)
}

func (d *Data) check(n int, off int64) error {
	if n == 0 || n%verity.BlockSize != 0 || off < 0 || off%verity.BlockSize != 0 {
		return fmt.Errorf("writing %d bytes at %d: not whole blocks", n, off)
	}
	return nil
}

func (d *Data) store(p []byte, off int64) error {
	d.tree.HashBlocks(uint64(off/verity.BlockSize), p)
	if _, err := d.file.WriteAt(p, DataOffset+off); err != nil {
		return err
	}
	d.begin(off, len(p))
	return nil
}

func (d *Data) release(buf []byte) {
	if cap(buf) < BufferSize { // it was cut at its front, too
		buf = make([]byte, BufferSize)
	}
	select {
	case d.free <- buf[:BufferSize]:
	default: // not one of ours: more of them than Buffer handed out
	}
}

func (d *Data) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
}

func (d *Data) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
