package ext4

import (
	"encoding/binary"
	"io"
)

// directPointers is how many pointers of an inode lead to data; the next three
// lead to blocks of pointers, over one, two and three levels.
const directPointers = 12

// pointers walks the map of blocks that ext2 and ext3 have.
type pointers struct {
	f     *FileSystem
	slots []byte
	per   uint64 // pointers in a block
	at    uint64 // logical block
	end   uint64 // of the file: what else a map names costs no time
}

func newPointers(f *FileSystem, slots []byte, end uint64) *pointers {
	return &pointers{f: f, slots: slots, per: uint64(f.super.blockSize) / 4, end: end}
}

// limit returns how many blocks the map can name.
func (p *pointers) limit() uint64 {
	return directPointers + p.per + p.per*p.per + p.per*p.per*p.per
}

func (p *pointers) next() (run, error) {
	for p.at < p.end {
		row, hole, err := p.row()
		if err != nil {
			return run{}, err
		}
		if hole > 0 {
			p.at += hole
			continue
		}
		le := binary.LittleEndian
		r := run{logical: p.at, physical: uint64(le.Uint32(row))}
		for len(row) > 0 && r.sameKind(uint64(le.Uint32(row))) {
			r.count++
			row = row[4:]
		}
		p.at += r.count
		if r.physical != 0 {
			return r, nil
		}
	}
	return run{}, io.EOF
}

// sameKind says whether pointer continues the run: the next block, or one more
// that isn't there.
func (r *run) sameKind(pointer uint64) bool {
	if r.physical == 0 {
		return pointer == 0
	}
	return pointer == r.physical+r.count
}

// row returns the pointers to data from logical block p.at on, as far as they
// stand in one block; or the length of a hole.
func (p *pointers) row() (row []byte, hole uint64, err error) {
	if p.at < directPointers {
		return p.slots[4*p.at : 4*directPointers], 0, nil
	}
	// Below pointer 12+level lie span blocks; rest is how far in p.at lies.
	level, span, rest := 0, p.per, p.at-directPointers
	for rest >= span {
		rest -= span
		span *= p.per
		level++
	}
	pointer := binary.LittleEndian.Uint32(p.slots[4*(directPointers+level):])
	for {
		if pointer == 0 {
			return nil, span - rest, nil
		}
		block, err := p.f.block(uint64(pointer))
		if err != nil {
			return nil, 0, err
		}
		span /= p.per
		index := rest / span
		if span == 1 {
			return block[4*index:], 0, nil
		}
		rest %= span
		pointer = binary.LittleEndian.Uint32(block[4*index:])
	}
}
