package verity

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
)

const (
	// unitBlocks is what a worker takes at once: 1 MiB. It is a multiple of
	// perBlock, so that no lowest hash block is needed by two of them.
	unitBlocks = 2 * perBlock
	// maxWorkers bounds the memory on machines with very many processors.
	maxWorkers = 64
)

// VerifyOptions are choices that don't change what is found.
type VerifyOptions struct {
	// Workers is the number of goroutines that hash, one per processor if it is
	// 0. More than 64 are not started.
	Workers int
	// Progress, if it is set, is told how many more data blocks were found
	// right. It is called by any goroutine, by several at once.
	Progress func(blocks uint64)
}

// Verify checks all of the data and the tree against the root hash. Each is
// read once, in pieces, on all processors; the memory it takes depends on
// neither. The error is a *BlockError for the first block that is wrong, in the
// order of the data, or what a device said, if that came first. A device that
// ends too early is an error, io.ErrUnexpectedEOF. For s see NewReader.
func Verify(ctx context.Context, s Superblock, root [DigestSize]byte, data, hash io.ReaderAt, o VerifyOptions) error {
	w := &walk{reader: NewReader(s, root, data, hash), blocks: s.DataBlocks, progress: o.Progress}
	if err := w.reader.err; err != nil {
		return err
	}
	workers := o.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	units := (s.DataBlocks + unitBlocks - 1) / unitBlocks
	var busy sync.WaitGroup
	for range min(uint64(workers), maxWorkers, units) {
		busy.Go(func() { w.work(ctx) })
	}
	busy.Wait()
	switch {
	case w.cut != nil:
		return fmt.Errorf("verifying by hash tree: %w", w.cut)
	case w.err != nil:
		return w.err
	case w.right != s.DataBlocks: // whatever the workers thought they did
		return fmt.Errorf("verifying by hash tree: %d of %d blocks were checked", w.right, s.DataBlocks)
	}
	return nil
}

// walk is a Verify at work.
type walk struct {
	reader   *Reader
	blocks   uint64 // in all
	progress func(blocks uint64)

	mu    sync.Mutex // guards what follows
	next  uint64     // the first block that nobody has taken
	right uint64     // blocks found right
	err   error      // the first one in the order of the data,
	at    uint64     // in the unit that begins with this block
	cut   error      // why it was given up
}

// work takes units until there are none, or one was wrong: whoever has one
// before that finishes it, so that the first wrong block is found.
func (w *walk) work(ctx context.Context) {
	buffer := make([]byte, pieceBlocks*BlockSize)
	for {
		first, end := w.take()
		if first == end {
			return
		}
		if err := ctx.Err(); err != nil {
			w.stop(err)
			return
		}
		for i := first; i < end; i += pieceBlocks {
			p := buffer[:min(pieceBlocks, end-i)*BlockSize]
			if _, err := w.reader.ReadAt(p, int64(i)*BlockSize); err != nil {
				w.fail(first, err)
				return
			}
		}
		w.done(end - first)
	}
}

// take returns the blocks to do next, or none. They are handed out in order.
func (w *walk) take() (first, end uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.cut != nil {
		return 0, 0
	}
	first = w.next
	w.next = min(first+unitBlocks, w.blocks)
	return first, w.next
}

func (w *walk) done(blocks uint64) {
	w.mu.Lock()
	w.right += blocks
	w.mu.Unlock()
	if w.progress != nil {
		w.progress(blocks)
	}
}

func (w *walk) fail(first uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil || first < w.at {
		w.err, w.at = err, first
	}
}

func (w *walk) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = err
}
