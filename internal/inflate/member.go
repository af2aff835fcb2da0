package inflate

import (
	"hash/crc32"
)

// The header's flags. Those that mean nothing yet are passed over.
const (
	flagHeaderSum = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
)

// maxText bounds the header's name and comment, each with its NUL.
const maxText = 512

// headerReader reads a header, of which there may be a checksum.
type headerReader struct {
	bits *bitReader
	sum  uint32
}

func (h *headerReader) next() (byte, error) {
	v, err := h.bits.get(8)
	if err != nil {
		return 0, err
	}
	b := byte(v)
	h.sum = crc32.Update(h.sum, crc32.IEEETable, []byte{b})
	return b, nil
}

// text passes over bytes up to a NUL.
func (h *headerReader) text() error {
	for range maxText {
		switch b, err := h.next(); {
		case err != nil:
			return err
		case b == 0:
			return nil
		}
	}
	return ErrHeader
}

func (h *headerReader) skip(n int) error {
	for range n {
		if _, err := h.next(); err != nil {
			return err
		}
	}
	return nil
}

func (h *headerReader) uint16() (int, error) {
	low, err := h.next()
	if err != nil {
		return 0, err
	}
	high, err := h.next()
	return int(low) | int(high)<<8, err
}

// member reads the header of the next member. If there is nothing more it
// returns io.EOF.
func (r *Reader) member() error {
	if r.n == 0 {
		if err := r.byteMore(); err != nil {
			return err
		}
	}
	h := headerReader{bits: &r.bitReader}
	var head [10]byte
	for i := range head {
		var err error
		if head[i], err = h.next(); err != nil {
			return err
		}
	}
	if head[0] != 0x1f || head[1] != 0x8b || head[2] != 8 {
		return ErrHeader
	}
	if err := h.optional(head[3]); err != nil {
		return err
	}
	r.base, r.crc, r.size = r.end, 0, 0
	r.step = stepBlock
	return nil
}

// optional reads what the flags say that there is.
func (h *headerReader) optional(flags byte) error {
	if flags&flagExtra != 0 {
		n, err := h.uint16()
		if err != nil {
			return err
		}
		if err := h.skip(n); err != nil {
			return err
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag != 0 {
			if err := h.text(); err != nil {
				return err
			}
		}
	}
	if flags&flagHeaderSum != 0 {
		want := int(h.sum & 0xffff)
		if got, err := h.uint16(); err != nil {
			return err
		} else if got != want {
			return ErrHeader
		}
	}
	return nil
}

// trailer compares the member with what its trailer says, and goes on to the
// next.
func (r *Reader) trailer() error {
	r.count()
	r.align()
	sum, err := r.get(32)
	if err != nil {
		return err
	}
	size, err := r.get(32)
	if err != nil {
		return err
	}
	if uint32(sum) != r.crc || uint32(size) != r.size {
		return ErrChecksum
	}
	return r.member()
}
