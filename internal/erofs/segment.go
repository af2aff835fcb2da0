package erofs

import "slices"

// segmentBlocks caps a metadata segment at 1 MiB: the more blocks there are to
// choose from, the better inodes and tails fit.
const segmentBlocks = 1 << 20 / BlockSize

// packer finds places for inodes in the blocks of one segment. An inode goes
// where it leaves the least room, and into a new block only if it fits nowhere:
// what lies inline must not cross a block, so first-come packing would waste a
// good part of them.
type packer struct {
	blocks int // in use

	// Blocks with n free slots at their end form a list that starts at
	// first[n]; values are a block's number plus one, 0 ends the list.
	first [slotsPerBlock + 1]uint16
	next  [segmentBlocks]uint16
}

// place returns the slot, counted from the segment's start, of size free bytes,
// or false if the segment is full. Up to a block's length they are in one
// block; longer ones begin on a block, and those that no segment has room for
// get one for themselves.
func (p *packer) place(size int) (slot int, ok bool) {
	need := (size + slotSize - 1) / slotSize
	if need <= slotsPerBlock {
		for free := need; free < len(p.first); free++ {
			if b := p.first[free]; b != 0 {
				p.first[free] = p.next[b-1]
				p.offer(int(b-1), free-need)
				return int(b)*slotsPerBlock - free, true
			}
		}
	}
	blocks := (need + slotsPerBlock - 1) / slotsPerBlock
	if p.blocks > 0 && p.blocks+blocks > segmentBlocks {
		return 0, false
	}
	slot = p.blocks * slotsPerBlock
	p.blocks += blocks
	if p.blocks <= segmentBlocks {
		p.offer(p.blocks-1, blocks*slotsPerBlock-need)
	}
	return slot, true
}

// offer lists a block with its free slots.
func (p *packer) offer(block, free int) {
	if free == 0 {
		return
	}
	p.next[block] = p.first[free]
	p.first[free] = uint16(block + 1)
}

// segment is the metadata that gathers while data passes.
type segment struct {
	packer
	buf []byte // as long as it had to be so far
}

// reserve returns the slot of size bytes, zeroed, or ok = false if the segment
// is full.
func (s *segment) reserve(size int) (slot int, p []byte, ok bool) {
	before := s.blocks
	slot, ok = s.place(size)
	if !ok {
		return 0, nil, false
	}
	s.buf = slices.Grow(s.buf[:before*BlockSize], (s.blocks-before)*BlockSize)[:s.blocks*BlockSize]
	clear(s.buf[before*BlockSize:])
	off := slot * slotSize
	return slot, s.buf[off : off+size], true
}

// content returns the blocks in use and empties the segment. They are valid
// until the next call of reserve.
func (s *segment) content() []byte {
	content := s.buf[:s.blocks*BlockSize]
	s.packer = packer{}
	return content
}
