package erofs

import (
	"errors"
	"fmt"
	"io"
)

// layout is how an inode's content is stored (the data layout of i_format).
type layout uint16

const (
	flatPlain         layout = 0 // whole blocks, the last one padded
	compressedFull    layout = 1 // physical clusters, each with its address
	flatInline        layout = 2 // whole blocks, and the rest behind the inode
	compressedCompact layout = 3 // physical clusters, one behind the other
	chunkBased        layout = 4 // chunks, some of them holes
)

// extent is all that an inode has to know of its content. How content becomes
// an extent is no business of the inode's.
type extent struct {
	layout  layout
	address uint32 // first block; for devices their number
	size    int64  // in bytes, as stat shows it
	inline  int    // bytes that follow the inode and its attributes
	chunks  chunks // of a file with holes
}

// blocksOf returns how many blocks n bytes fill.
func blocksOf(n int64) int64 { return (n + BlockSize - 1) / BlockSize }

// store reads size bytes of content. The whole blocks go to the device; what
// the extent calls inline is left in r, to be read into the inode's own block,
// unless the extent has chunks. head is the length of the inode and its
// attributes.
func (w *Writer) store(size int64, head int, r io.Reader) (extent, error) {
	x := extent{layout: flatPlain, size: size}
	// The tail must lie in one block, and for symlinks kernels want the inode in
	// it too. One rule for all: everything in one block, or nothing inline.
	if tail := int(size % BlockSize); tail > 0 && head+tail <= BlockSize {
		x.layout, x.inline = flatInline, tail
	}
	whole := size - int64(x.inline)
	if whole == 0 {
		return x, nil
	}
	if err := w.checkRoom(whole); err != nil {
		return extent{}, err
	}
	if size >= chunkSize && w.may(usesHoles) {
		return w.storeChunks(x, head, r)
	}
	x.address = uint32(w.data.end() / BlockSize)
	return x, w.storeBlocks(whole, r)
}

// checkRoom refuses content that would make the image too long.
func (w *Writer) checkRoom(size int64) error {
	first := w.data.end() / BlockSize
	if w.press != nil {
		first = 0 // what lies before is not known yet
	}
	if size/BlockSize >= maxBlocks || blocksOf(size) > maxBlocks-first {
		return fmt.Errorf("storing %d bytes after block %d: an image holds at most %d blocks of %d bytes", size, first, int64(maxBlocks), BlockSize)
	}
	return nil
}

// storeBlocks reads size bytes into whole blocks, the last one padded.
func (w *Writer) storeBlocks(size int64, r io.Reader) error {
	for left := size; left > 0; {
		space, err := w.data.space()
		if err != nil {
			return w.fail(err)
		}
		n := int(min(left, int64(len(space))))
		if err := w.readFull(r, space[:n]); err != nil {
			return err
		}
		left -= int64(n)
		padded := (n + BlockSize - 1) &^ (BlockSize - 1)
		clear(space[n:padded])
		w.data.take(padded)
	}
	return nil
}

// readFull fills p from r. A failure ends the Writer: blocks are lost.
func (w *Writer) readFull(r io.Reader, p []byte) error {
	n, err := io.ReadFull(r, p)
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return w.fail(fmt.Errorf("reading content: %d bytes short: %w", len(p)-n, err))
}
