package verity

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Params are what a tree depends on besides the data.
type Params struct {
	Salt []byte   // hashed before every block; at most MaxSalt bytes
	UUID [16]byte // of the superblock
}

// leafPage is the number of leaves that are allocated at once: 128 KiB for 16
// MiB of data. It is a multiple of perBlock, so that no hash block is split.
const leafPage = 32 * perBlock

// Tree is a hash tree in the making. Its leaves are kept in memory, 32 bytes a
// block.
type Tree struct {
	params Params
	ways   ways       // see newHasher
	idle   sync.Pool  // of *hasher
	mu     sync.Mutex // guards the slice, not the pages
	pages  [][]byte   // the leaves

	super  Superblock // set by Finish
	levels [][]byte   // set by Finish: the levels above the leaves, lowest first
}

// NewTree returns an empty tree. A salt that is too long is reported by Finish.
func NewTree(p Params) *Tree {
	t := &Tree{params: p, ways: waysHere()}
	t.idle.New = func() any { h := newHasher(p.Salt, t.ways); return &h }
	return t
}

// HashBlocks hashes whole blocks of data, the first of which is block first of
// the device. Several goroutines may call it at once for different blocks; a
// block hashed twice keeps the later digest.
func (t *Tree) HashBlocks(first uint64, data []byte) {
	if len(data)%BlockSize != 0 {
		panic("verity: data is not whole blocks")
	}
	h, ok := t.idle.Get().(*hasher)
	if !ok {
		panic("verity: the pool holds something else")
	}
	defer t.idle.Put(h)
	for len(data) > 0 {
		slot := first % leafPage
		n := min(leafPage-slot, uint64(len(data)/BlockSize))
		h.sums(t.page(first / leafPage)[slot*DigestSize:], data[:n*BlockSize])
		data = data[n*BlockSize:]
		first += n
	}
}

func (t *Tree) page(i uint64) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	for uint64(len(t.pages)) <= i {
		t.pages = append(t.pages, nil)
	}
	if t.pages[i] == nil {
		t.pages[i] = make([]byte, leafPage*DigestSize)
	}
	return t.pages[i]
}

// Finish computes the tree above the leaves 0 to blocks-1, all of which must
// have been hashed, and returns the root hash. It may be called again after
// blocks have changed.
func (t *Tree) Finish(blocks uint64) (root [DigestSize]byte, err error) {
	if len(t.params.Salt) > MaxSalt {
		return root, fmt.Errorf("finishing hash tree: salt of %d bytes, at most %d fit", len(t.params.Salt), MaxSalt)
	}
	if blocks == 0 || blocks > maxDataBlocks {
		return root, fmt.Errorf("finishing hash tree: %d data blocks", blocks)
	}
	if err := t.trim(blocks); err != nil {
		return root, err
	}
	t.super = Superblock{UUID: t.params.UUID, DataBlocks: blocks, Salt: t.params.Salt}
	t.levels = nil
	if blocks == 1 {
		return [DigestSize]byte(t.pages[0]), nil
	}
	h := newHasher(t.params.Salt, t.ways)
	count := (blocks + perBlock - 1) / perBlock // hash blocks of the level below
	below := func(i uint64) []byte {
		return t.pages[i*perBlock/leafPage][i*perBlock%leafPage*DigestSize:][:BlockSize]
	}
	for count > 1 {
		size := (count + perBlock - 1) / perBlock
		level := make([]byte, size*BlockSize)
		for i := range count {
			h.sum(level[i*DigestSize:][:DigestSize], below(i))
		}
		t.levels = append(t.levels, level)
		count = size
		below = func(i uint64) []byte { return level[i*BlockSize:][:BlockSize] }
	}
	h.sum(root[:], below(0))
	return root, nil
}

// trim makes sure that every block has its leaf and that nothing follows.
func (t *Tree) trim(blocks uint64) error {
	var unset [DigestSize]byte
	for i := range blocks {
		n := i / leafPage
		// No block is known whose SHA-256 is all zero.
		if n >= uint64(len(t.pages)) || t.pages[n] == nil || [DigestSize]byte(t.pages[n][i%leafPage*DigestSize:]) == unset {
			return fmt.Errorf("finishing hash tree: block %d of %d was never hashed", i, blocks)
		}
	}
	last := (blocks - 1) / leafPage
	t.pages = t.pages[:last+1]
	clear(t.pages[last][((blocks-1)%leafPage+1)*DigestSize:])
	return nil
}

// Size returns the number of bytes that WriteTo writes, once Finish is done.
func (t *Tree) Size() int64 { return t.super.Size() }

// WriteTo writes the superblock's block and the levels of the tree, the top
// one first.
func (t *Tree) WriteTo(w io.Writer) (int64, error) {
	if t.super.DataBlocks == 0 {
		return 0, errors.New("writing hash tree: it is not finished")
	}
	head := make([]byte, BlockSize)
	copy(head, t.super.Marshal())
	parts := [][]byte{head}
	for _, level := range slices.Backward(t.levels) {
		parts = append(parts, level)
	}
	if blocks := t.super.DataBlocks; blocks > 1 {
		left := (blocks + perBlock - 1) / perBlock * BlockSize
		for _, page := range t.pages {
			n := min(left, uint64(len(page)))
			parts = append(parts, page[:n])
			left -= n
		}
	}
	var written int64
	for _, p := range parts {
		n, err := w.Write(p)
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("writing hash tree: %w", err)
		}
	}
	return written, nil
}

// TopRoot computes the root hash of the tree that hash, a hash partition with
// the superblock s, holds. Only its top block is read; for a single data
// block there is none, and data, the data partition, is read instead.
func TopRoot(s Superblock, hash, data io.ReaderAt) (root [DigestSize]byte, err error) {
	from, off := hash, int64(BlockSize)
	if s.DataBlocks == 1 {
		from, off = data, 0
	}
	block := make([]byte, BlockSize)
	if n, err := from.ReadAt(block, off); n < len(block) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return root, fmt.Errorf("reading top of hash tree: %w", err)
	}
	newHasher(s.Salt, ways{}).sum(root[:], block)
	return root, nil
}
