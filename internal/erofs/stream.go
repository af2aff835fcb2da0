package erofs

import "fmt"

// maxBlocks is the longest image: the superblock counts blocks in 32 bits.
const maxBlocks = 1<<32 - 1

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

// insert copies the blocks p to the end and returns the first one's number.
func (s *stream) insert(p []byte) (block int64, err error) {
	block = s.end() / BlockSize
	for len(p) > 0 {
		space, err := s.space()
		if err != nil {
			return 0, err
		}
		n := copy(space, p)
		s.take(n)
		p = p[n:]
	}
	return block, nil
}

// insertPadded is insert for any number of bytes: the last block is filled up
// with zeros.
func (s *stream) insertPadded(p []byte) (block int64, err error) {
	whole := len(p) &^ (BlockSize - 1)
	block, err = s.insert(p[:whole])
	if err != nil || whole == len(p) {
		return block, err
	}
	var last [BlockSize]byte
	copy(last[:], p[whole:])
	_, err = s.insert(last[:])
	return block, err
}

func newBuffer(dev Device) ([]byte, error) {
	buf := dev.Buffer()
	if len(buf) != BufferSize {
		return nil, fmt.Errorf("taking a buffer of %d bytes from the device: it should have %d", len(buf), BufferSize)
	}
	return buf, nil
}

// writeCopy writes the blocks p, which stay the caller's, at off.
func writeCopy(dev Device, p []byte, off int64) error {
	for len(p) > 0 {
		buf, err := newBuffer(dev)
		if err != nil {
			return err
		}
		n := copy(buf, p)
		if err := write(dev, buf[:n], off); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
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
