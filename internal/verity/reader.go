package verity

import (
	"fmt"
	"io"
)

// cachedData is how many data blocks a Reader keeps, 1 MiB, for those who read
// a block bit by bit.
const cachedData = 256

// Reader reads data that a hash tree covers. It gives out no byte whose block
// was not checked, in memory, against a chain of hash blocks up to the root
// hash; what it gives out is what was checked, whatever becomes of the device
// meanwhile. Reading fails with a *BlockError, or with what the device said.
// Its memory is bounded, and it may be used by several goroutines.
type Reader struct {
	data   io.ReaderAt
	size   int64
	chain  *chain
	blocks cache // of data
	err    error // of every read
}

// NewReader returns a Reader of the s.DataBlocks first blocks of data, whose
// tree is in hash, a hash partition with the superblock s, and has the given
// root hash. All of s is the caller's word: of hash, only the tree is read. A
// superblock that ParseSuperblock would not return is an error of every read.
func NewReader(s Superblock, root [DigestSize]byte, data, hash io.ReaderAt) *Reader {
	if err := s.check(); err != nil {
		return &Reader{err: err}
	}
	return &Reader{data: data, size: int64(s.DataBlocks) * BlockSize, chain: newChain(s, root, hash), blocks: newCache(cachedData)}
}

// check says what is wrong with a superblock that was not parsed.
func (s Superblock) check() error {
	if s.DataBlocks == 0 || s.DataBlocks > maxDataBlocks {
		return fmt.Errorf("reading by hash tree: %d data blocks", s.DataBlocks)
	}
	if len(s.Salt) > MaxSalt {
		return fmt.Errorf("reading by hash tree: salt of %d bytes, at most %d fit", len(s.Salt), MaxSalt)
	}
	return nil
}

// Size returns the number of bytes that the tree covers: the data ends there,
// however long its device is.
func (r *Reader) Size() int64 { return r.size }

// ReadAt reads checked data. Behind Size there is io.EOF. If it fails, the rest
// of p holds nothing of the device.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if r.err != nil {
		return 0, r.err
	}
	if off < 0 {
		return 0, fmt.Errorf("reading by hash tree: offset %d", off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	wanted := len(p)
	p = p[:min(int64(wanted), r.size-off)]
	for n < len(p) {
		m, err := r.piece(p[n:], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	if n < wanted {
		return n, io.EOF
	}
	return n, nil
}

// piece reads at least one byte of the data, unless it fails.
func (r *Reader) piece(p []byte, off int64) (int, error) {
	i := uint64(off) / BlockSize
	if within := off % BlockSize; within != 0 || len(p) < BlockSize {
		b, err := r.block(i)
		if err != nil {
			return 0, err
		}
		return copy(p, b[within:]), nil
	}
	// All of them are vouched for by one hash block.
	count := min(uint64(len(p)/BlockSize), pieceBlocks, perBlock-i%perBlock)
	p = p[:count*BlockSize]
	n, err := r.fill(p, i)
	// The caller's memory must not show what nobody vouched for.
	clear(p[n:])
	return n, err
}

// block returns one data block. It is not to be written to.
func (r *Reader) block(i uint64) ([]byte, error) {
	if b := r.blocks.get(i); b != nil {
		return b, nil
	}
	b := make([]byte, BlockSize)
	if _, err := r.fill(b, i); err != nil {
		return nil, err
	}
	r.blocks.put(i, b)
	return b, nil
}

// fill reads whole data blocks, which one hash block vouches for, and returns
// how many bytes of p were read and found right before the first that was not.
func (r *Reader) fill(p []byte, first uint64) (int, error) {
	want, err := r.chain.digests(0, first)
	if err != nil {
		return 0, err
	}
	off := int64(first) * BlockSize
	n, readErr := readFull(r.data, p, off)
	good := r.chain.compare(want, p[:n-n%BlockSize])
	if good < n/BlockSize {
		return good * BlockSize, &BlockError{Level: 0, Block: first + uint64(good)}
	}
	if readErr != nil {
		return good * BlockSize, fmt.Errorf("reading data at byte %d: %w", off+int64(n), readErr)
	}
	return len(p), nil
}
