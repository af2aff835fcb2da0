package verity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	// maxLevels is the height of a tree over maxDataBlocks.
	maxLevels = 6
	// pieceBlocks is how many blocks are read and hashed in one go: 128 KiB,
	// which is still in the processor's cache when it is hashed.
	pieceBlocks = 32
	// cachedHashes and cachedData are the blocks that a Reader keeps: 3 MiB of
	// hash blocks, which vouch for 384 MiB of data, and 1 MiB of data.
	cachedHashes = 768
	cachedData   = 256
)

// BlockError says which block is not the one that the root hash vouches for.
// Hash blocks below a wrong one, and their data, were not looked at.
type BlockError struct {
	Level int    // 0 for data, 1 for the hash blocks over the data, and so on
	Block uint64 // counted from the first one of its level
}

func (e *BlockError) Error() string {
	if e.Level == 0 {
		return fmt.Sprintf("data block %d is not what the hash tree says", e.Block)
	}
	return fmt.Sprintf("hash block %d of level %d is not what the level above it says", e.Block, e.Level)
}

// Reader reads data that a hash tree covers. It gives out no byte whose block
// was not checked, in memory, against a chain of hash blocks up to the root
// hash; what it gives out is what was checked, whatever becomes of the device
// meanwhile. Reading fails with a *BlockError, or with what the device said.
// Its memory is bounded, and it may be used by several goroutines.
type Reader struct {
	data, hash io.ReaderAt
	salt       []byte
	root       [DigestSize]byte
	size       int64
	height     int                   // levels of hash blocks
	start      [maxLevels + 1]uint64 // the first block of each level, in the hash area
	loading    [maxLevels + 1]sync.Mutex
	hashes     cache     // by block of the hash area
	blocks     cache     // of data, for those who read less than a block
	scratch    sync.Pool // of *scratch
	err        error     // why s is none
}

// scratch is what checking takes.
type scratch struct {
	hasher  hasher
	digests [pieceBlocks * DigestSize]byte
}

// NewReader returns a Reader of the s.DataBlocks first blocks of data, whose
// tree is in hash, a hash partition with the superblock s, and has the given
// root hash. All of s is the caller's word: of hash, only the tree is read. A
// superblock that ParseSuperblock would not return is an error of every read.
func NewReader(s Superblock, root [DigestSize]byte, data, hash io.ReaderAt) *Reader {
	r := &Reader{
		data: data, hash: hash, salt: slices.Clone(s.Salt), root: root,
		hashes: newCache(cachedHashes), blocks: newCache(cachedData),
	}
	if r.err = s.check(); r.err != nil {
		return r
	}
	r.size = int64(s.DataBlocks) * BlockSize
	var counts []uint64
	for n := s.DataBlocks; n > 1; {
		n = (n + perBlock - 1) / perBlock
		counts = append(counts, n)
	}
	r.height = len(counts)
	next := uint64(1) // behind the superblock
	for level, count := range slices.Backward(counts) {
		r.start[level+1] = next
		next += count
	}
	paired := pairFits()
	r.scratch.New = func() any { return &scratch{hasher: newHasher(r.salt, paired)} }
	return r
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
	want, err := r.digests(0, first)
	if err != nil {
		return 0, err
	}
	off := int64(first) * BlockSize
	n, readErr := readFull(r.data, p, off)
	good := r.compare(want, p[:n-n%BlockSize])
	if good < n/BlockSize {
		return good * BlockSize, &BlockError{Level: 0, Block: first + uint64(good)}
	}
	if readErr != nil {
		return good * BlockSize, fmt.Errorf("reading data at byte %d: %w", off+int64(n), readErr)
	}
	return len(p), nil
}

// digests returns the digest of block i of a level, and those behind it which
// are in the same hash block. It is not to be written to.
func (r *Reader) digests(level int, i uint64) ([]byte, error) {
	if level == r.height {
		return r.root[:], nil
	}
	b, err := r.hashBlock(level+1, i/perBlock)
	if err != nil {
		return nil, err
	}
	return b[i%perBlock*DigestSize:], nil
}

// hashBlock returns block i of a level of the tree, checked.
func (r *Reader) hashBlock(level int, i uint64) ([]byte, error) {
	at := r.start[level] + i
	if b := r.hashes.get(at); b != nil {
		return b, nil
	}
	if level > 1 {
		// Many need it at once. Whoever holds this waits for higher levels only.
		r.loading[level].Lock()
		defer r.loading[level].Unlock()
		if b := r.hashes.get(at); b != nil {
			return b, nil
		}
	}
	want, err := r.digests(level, i)
	if err != nil {
		return nil, err
	}
	b, off := make([]byte, BlockSize), int64(at)*BlockSize
	if n, err := readFull(r.hash, b, off); err != nil {
		return nil, fmt.Errorf("reading hash tree at byte %d: %w", off+int64(n), err)
	}
	if r.compare(want, b) == 0 {
		return nil, &BlockError{Level: level, Block: i}
	}
	r.hashes.put(at, b)
	return b, nil
}

// compare returns how many blocks have the digests that are wanted of them
// before the first that has another.
func (r *Reader) compare(want, blocks []byte) int {
	s, ok := r.scratch.Get().(*scratch)
	if !ok {
		return 0
	}
	defer r.scratch.Put(s)
	count := len(blocks) / BlockSize
	got := s.digests[:count*DigestSize]
	s.hasher.sums(got, blocks)
	for i := range count {
		if !bytes.Equal(got[i*DigestSize:][:DigestSize], want[i*DigestSize:][:DigestSize]) {
			return i
		}
	}
	return count
}

// readFull reads all of p. Where the device ends too early, the error is
// io.ErrUnexpectedEOF.
func readFull(from io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := from.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
