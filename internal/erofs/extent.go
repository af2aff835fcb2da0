package erofs

import (
	"errors"
	"fmt"
	"io"
)

// maxBlocks is the longest image: the superblock counts blocks in 32 bits.
const maxBlocks = 1<<32 - 1

// layout is how an inode's content is stored (the data layout of i_format).
type layout uint16

const (
	flatPlain  layout = 0 // whole blocks, the last one padded
	flatInline layout = 2 // whole blocks, and the rest behind the inode
)

// extent is all that an inode has to know of its content. How content becomes
// an extent is the business of store alone, so that another way of storing it
// needs no other inode.
type extent struct {
	layout  layout
	address uint32 // first block; for devices their number
	size    int64  // in bytes, as stat shows it
	inline  int    // bytes that follow the inode and its attributes
}

// store reads size bytes of content. The whole blocks go to the device; what
// the extent calls inline is left in r, to be read into the inode's own block.
// head is the length of the inode and its attributes.
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
	first := w.data.end() / BlockSize
	if blocks := (whole-1)/BlockSize + 1; blocks > maxBlocks-first {
		return extent{}, fmt.Errorf("storing %d bytes after block %d: an image holds at most %d blocks of %d bytes", size, first, int64(maxBlocks), BlockSize)
	}
	x.address = uint32(first)
	for left := whole; left > 0; {
		space, err := w.data.space()
		if err != nil {
			return extent{}, w.fail(err)
		}
		n := int(min(left, int64(len(space))))
		if err := w.readFull(r, space[:n]); err != nil {
			return extent{}, err
		}
		left -= int64(n)
		padded := (n + BlockSize - 1) &^ (BlockSize - 1)
		clear(space[n:padded])
		w.data.take(padded)
	}
	return x, nil
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

// stream gathers blocks in buffers of the device and passes them on to
// consecutive offsets.
type stream struct {
	dev   Device
	start int64 // offset in the image of the buffer's first byte
	buf   []byte
	used  int // whole blocks
}

// end returns the offset at which the next block goes.
func (s *stream) end() int64 { return s.start + int64(s.used) }

// space returns the free rest of the buffer, at least one block of it.
func (s *stream) space() ([]byte, error) {
	if s.used == len(s.buf) {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	if s.buf == nil {
		buf, err := newBuffer(s.dev)
		if err != nil {
			return nil, err
		}
		s.buf = buf
	}
	return s.buf[s.used:], nil
}

// take marks n bytes of what space returned as filled.
func (s *stream) take(n int) { s.used += n }

// flush passes on what was gathered.
func (s *stream) flush() error {
	if s.used == 0 {
		return nil
	}
	buf, off := s.buf[:s.used], s.start
	s.start += int64(s.used)
	s.buf, s.used = nil, 0
	return write(s.dev, buf, off)
}

// insert places the filled buffer p at the end and returns its first block.
func (s *stream) insert(p []byte) (block int64, err error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	off := s.start
	s.start += int64(len(p))
	return off / BlockSize, write(s.dev, p, off)
}

func newBuffer(dev Device) ([]byte, error) {
	buf := dev.Buffer()
	if len(buf) != BufferSize {
		return nil, fmt.Errorf("taking a buffer of %d bytes from the device: it should have %d", len(buf), BufferSize)
	}
	return buf, nil
}

// write keeps the image below its limit, which data can reach but metadata
// could then pass.
func write(dev Device, p []byte, off int64) error {
	if off+int64(len(p)) > maxBlocks*BlockSize {
		return fmt.Errorf("writing %d bytes at %d: an image holds at most %d blocks of %d bytes", len(p), off, int64(maxBlocks), BlockSize)
	}
	if err := dev.Write(p, off); err != nil {
		return fmt.Errorf("writing %d bytes at %d: %w", len(p), off, err)
	}
	return nil
}
