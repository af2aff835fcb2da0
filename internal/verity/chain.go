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
	// cachedHashes is how many hash blocks are kept: 3 MiB, which vouch for 384
	// MiB of data.
	cachedHashes = 768
	// pieceBlocks is how many blocks are read and hashed in one go: 128 KiB,
	// which is still in the processor's cache when it is hashed.
	pieceBlocks = 32
)

// BlockError says which block is not the one that the root hash vouches for.
// What lies below a wrong hash block was not looked at.
type BlockError struct {
	Level int    // 0 for data, 1 for the hash blocks over the data, and so on
	Block uint64 // counted from the first one of its level
	// Long says that the hash block itself is right, but holds digests of more
	// blocks than the superblock counts. A kernel does not mind, veritysetup
	// does. No hash covers the superblock, so this is how a data device shows
	// that somebody made shorter.
	Long bool
}

func (e *BlockError) Error() string {
	switch {
	case e.Level == 0:
		return fmt.Sprintf("data block %d is not what the hash tree says", e.Block)
	case e.Long:
		return fmt.Sprintf("hash block %d of level %d has digests of more blocks than the superblock counts", e.Block, e.Level)
	}
	return fmt.Sprintf("hash block %d of level %d is not what the root hash vouches for", e.Block, e.Level)
}

// chain leads from the root hash to the digest of any data block. What it hands
// out was checked in memory, and stays as it was then.
type chain struct {
	device  io.ReaderAt
	root    [DigestSize]byte
	counts  []uint64              // blocks of each level: of data, of hash blocks over it, and so on
	start   [maxLevels + 1]uint64 // the first block of each level on the device
	loading [maxLevels + 1]sync.Mutex
	cache   cache     // by block of the device
	scratch sync.Pool // of *scratch
}

// scratch is what checking takes.
type scratch struct {
	hasher  hasher
	digests [pieceBlocks * DigestSize]byte
}

// newChain returns the chain of a superblock that was checked.
func newChain(s Superblock, root [DigestSize]byte, device io.ReaderAt) *chain {
	c := &chain{device: device, root: root, counts: []uint64{s.DataBlocks}, cache: newCache(cachedHashes)}
	for n := s.DataBlocks; n > 1; {
		n = (n + perBlock - 1) / perBlock
		c.counts = append(c.counts, n)
	}
	next := uint64(1) // behind the superblock
	for level := len(c.counts) - 1; level > 0; level-- {
		c.start[level] = next
		next += c.counts[level]
	}
	salt, w := slices.Clone(s.Salt), waysHere()
	c.scratch.New = func() any { return &scratch{hasher: newHasher(salt, w)} }
	return c
}

// digests returns the digest of block i of a level, and those behind it which
// are in the same hash block. It is not to be written to.
func (c *chain) digests(level int, i uint64) ([]byte, error) {
	if level == len(c.counts)-1 {
		return c.root[:], nil
	}
	b, err := c.block(level+1, i/perBlock)
	if err != nil {
		return nil, err
	}
	return b[i%perBlock*DigestSize:], nil
}

// block returns block i of a level of the tree, checked.
func (c *chain) block(level int, i uint64) ([]byte, error) {
	at := c.start[level] + i
	if b := c.cache.get(at); b != nil {
		return b, nil
	}
	if level > 1 {
		// Many need it at once. Whoever holds this waits for higher levels only.
		c.loading[level].Lock()
		defer c.loading[level].Unlock()
		if b := c.cache.get(at); b != nil {
			return b, nil
		}
	}
	want, err := c.digests(level, i)
	if err != nil {
		return nil, err
	}
	b, off := make([]byte, BlockSize), int64(at)*BlockSize
	if n, err := readFull(c.device, b, off); err != nil {
		return nil, fmt.Errorf("reading hash tree at byte %d: %w", off+int64(n), err)
	}
	if c.compare(want, b) == 0 {
		return nil, &BlockError{Level: level, Block: i}
	}
	if used := c.counts[level-1] - i*perBlock; used < perBlock && !zero(b[used*DigestSize:]) {
		return nil, &BlockError{Level: level, Block: i, Long: true}
	}
	c.cache.put(at, b)
	return b, nil
}

// compare returns how many blocks have the digests that are wanted of them
// before the first that has another.
func (c *chain) compare(want, blocks []byte) int {
	s, ok := c.scratch.Get().(*scratch)
	if !ok {
		return 0
	}
	defer c.scratch.Put(s)
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

func zero(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 })
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
