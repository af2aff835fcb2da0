package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	extentMagic     = 0xf30a
	extentSize      = 12 // of the header and of each entry
	maxExtentDepth  = 5  // enough for 2^32 blocks, and what Linux allows
	maxExtentLength = 32768
	maxLogical      = 1 << 32 // blocks of a file
)

// extents walks an extent tree. Only the path to the current leaf is kept.
type extents struct {
	f    *FileSystem
	seed uint32
	path []extentNode
}

// extentNode is a node of which some entries were given out.
type extentNode struct {
	entries []byte // those that were not
	depth   int    // 0 for a leaf
	lo, hi  uint64 // the logical blocks that it may speak of
}

func (f *FileSystem) extentsOf(n *Inode) (*extents, error) {
	e := &extents{f: f, seed: n.seed}
	depth := int(binary.LittleEndian.Uint16(n.blockMap()[6:]))
	if depth > maxExtentDepth {
		return nil, fmt.Errorf("its extent tree is %d levels high, the most is %d", depth, maxExtentDepth)
	}
	root, err := parseExtentNode(n.blockMap(), depth)
	if err != nil {
		return nil, err
	}
	root.hi = maxLogical
	e.path = append(e.path, root)
	return e, nil
}

// parseExtentNode checks a node's header.
func parseExtentNode(b []byte, depth int) (extentNode, error) {
	le := binary.LittleEndian
	count, most := int(le.Uint16(b[2:])), int(le.Uint16(b[4:]))
	switch {
	case le.Uint16(b) != extentMagic:
		return extentNode{}, fmt.Errorf("an extent node begins with %#04x, not %#04x", le.Uint16(b), extentMagic)
	case int(le.Uint16(b[6:])) != depth:
		return extentNode{}, fmt.Errorf("an extent node of depth %d, not %d", le.Uint16(b[6:]), depth)
	case most == 0 || most > len(b)/extentSize-1 || count > most:
		return extentNode{}, fmt.Errorf("an extent node with %d of %d entries in %d bytes", count, most, len(b))
	case count == 0 && (depth > 0 || len(b) != mapSize):
		return extentNode{}, errors.New("an extent node with no entries")
	}
	return extentNode{entries: b[extentSize:][:count*extentSize], depth: depth}, nil
}

func (e *extents) next() (run, error) {
	for len(e.path) > 0 {
		top := &e.path[len(e.path)-1]
		if len(top.entries) == 0 {
			e.path = e.path[:len(e.path)-1]
			continue
		}
		entry := top.entries[:extentSize]
		top.entries = top.entries[extentSize:]
		if top.depth == 0 {
			return top.leaf(entry)
		}
		if err := e.descend(top, entry); err != nil {
			return run{}, err
		}
	}
	return run{}, io.EOF
}

// leaf reads an extent and narrows what may come after it.
func (x *extentNode) leaf(entry []byte) (run, error) {
	le := binary.LittleEndian
	r := run{
		logical:  uint64(le.Uint32(entry)),
		count:    uint64(le.Uint16(entry[4:])),
		physical: uint64(le.Uint16(entry[6:]))<<32 | uint64(le.Uint32(entry[8:])),
	}
	if r.count > maxExtentLength {
		r.count -= maxExtentLength
		r.unwritten = true
	}
	if r.count == 0 || r.logical < x.lo || r.logical >= x.hi || r.count > x.hi-r.logical {
		return run{}, fmt.Errorf("an extent of %d blocks at block %d, between %d and %d", r.count, r.logical, x.lo, x.hi)
	}
	x.lo = r.logical + r.count
	return r, nil
}

// descend puts the child of an index entry on the path. The child speaks of the
// blocks from its key to the key of the next.
func (e *extents) descend(top *extentNode, entry []byte) error {
	le := binary.LittleEndian
	key, hi := uint64(le.Uint32(entry)), top.hi
	if len(top.entries) > 0 {
		hi = uint64(le.Uint32(top.entries))
	}
	if key < top.lo || key >= hi || hi > top.hi {
		return fmt.Errorf("an extent node for blocks %d to %d, between %d and %d", key, hi, top.lo, top.hi)
	}
	top.lo = hi
	number := uint64(le.Uint16(entry[8:]))<<32 | uint64(le.Uint32(entry[4:]))
	block, err := e.f.block(number)
	if err != nil {
		return err
	}
	child, err := parseExtentNode(block, top.depth-1)
	if err != nil {
		return fmt.Errorf("block %d: %w", number, err)
	}
	if e.f.super.sums() {
		end := extentSize * (1 + int(le.Uint16(block[4:])))
		if end+4 > len(block) || sum(e.seed, block[:end]) != le.Uint32(block[end:]) {
			return fmt.Errorf("extent block %d: %w", number, errSum)
		}
	}
	child.lo, child.hi = key, hi
	e.path = append(e.path, child)
	return nil
}
