package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const (
	indexRoot  = 0x20 // where the root's table begins, behind two entries and a header
	indexNode  = 0x8  // where another node's does, behind an entry not in use
	indexEntry = 8

	maxHashVersion = 5 // 6 is for folders that ignore case and are encrypted
)

// index is a folder's hash index. Linux finds names through it, and lists them
// through it: what it shows is what a linear reading shows only if the index
// leads to each block of names, and once.
type index struct {
	f      *FileSystem
	seed   uint32
	blocks []uint64 // of the folder
	named  []bool   // to which of them the index leads
	nodes  []bool   // which of them are the index's own
}

// readIndex checks a folder's index and says which of its blocks hold no names.
func (f *FileSystem) readIndex(n *Inode, blocks []uint64) ([]bool, error) {
	x := &index{f: f, seed: n.seed, blocks: blocks, named: make([]bool, len(blocks)), nodes: make([]bool, len(blocks))}
	if err := x.root(); err != nil {
		return nil, fmt.Errorf("its index: %w", err)
	}
	for i, named := range x.named {
		if !named {
			return nil, fmt.Errorf("its index does not lead to block %d", i)
		}
	}
	return x.nodes, nil
}

func (x *index) root() error {
	b, err := x.f.block(x.blocks[0])
	if err != nil {
		return err
	}
	x.named[0] = true
	most := 1
	if x.f.super.incompat&incompatLargeDir != 0 {
		most = 2
	}
	info := b[0x18:indexRoot]
	levels := int(info[6])
	switch {
	case binary.LittleEndian.Uint32(info) != 0 || info[5] != byte(len(info)) || info[7] != 0:
		return fmt.Errorf("a header %x", info)
	case info[4] > maxHashVersion:
		return &Unsupported{fmt.Sprintf("hashes of version %d", info[4])}
	case levels > most:
		return fmt.Errorf("%d levels, the most is %d", levels, most)
	}
	return x.node(0, levels, 0, math.MaxUint32)
}

// node checks block number at of the folder, from which depth more levels lead
// to names whose hashes are from low to high.
func (x *index) node(at, depth int, low, high uint32) error {
	x.nodes[at] = true
	b, err := x.f.block(x.blocks[at])
	if err != nil {
		return err
	}
	table, err := x.table(b, at)
	if err != nil {
		return fmt.Errorf("block %d: %w", at, err)
	}
	le := binary.LittleEndian
	for i := 0; i < len(table); i += indexEntry {
		child := le.Uint32(table[i+4:])
		if i > 0 { // the first has none: its place is the header's
			hash := le.Uint32(table[i:])
			if hash < low || hash > high {
				return fmt.Errorf("block %d: its hashes are not in order", at)
			}
			low = hash
		}
		if uint64(child) >= uint64(len(x.blocks)) || x.named[child] {
			return fmt.Errorf("block %d: it leads to block %d of %d, or not for the first time", at, child, len(x.blocks))
		}
		x.named[child] = true
		if depth == 0 {
			continue
		}
		most := high
		if next := i + indexEntry; next < len(table) {
			most = le.Uint32(table[next:])
		}
		if err := x.node(int(child), depth-1, low, most); err != nil {
			return err
		}
	}
	return nil
}

// table returns the entries of a node that are in use.
func (x *index) table(b []byte, at int) ([]byte, error) {
	le := binary.LittleEndian
	start := indexRoot
	if at > 0 {
		start = indexNode
		if le.Uint32(b) != 0 || int(le.Uint16(b[4:])) != len(b) || le.Uint16(b[6:]) != 0 {
			return nil, errors.New("it shows names")
		}
	}
	end := len(b)
	if x.f.super.sums() {
		end -= 8
	}
	limit, count := int(le.Uint16(b[start:])), int(le.Uint16(b[start+2:]))
	if limit != (end-start)/indexEntry || count == 0 || count > limit {
		return nil, fmt.Errorf("%d of %d entries", count, limit)
	}
	used := start + count*indexEntry
	if x.f.super.sums() {
		tail := b[start+limit*indexEntry:]
		c := sum(sum(sum(x.seed, b[:used]), tail[:4]), make([]byte, 4))
		if c != le.Uint32(tail[4:]) {
			return nil, errSum
		}
	}
	return b[start:used], nil
}
