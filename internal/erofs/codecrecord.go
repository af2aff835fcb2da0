package erofs

import "encoding/binary"

// Fields of the superblock that only compressed images have.
const (
	superMethods = 84
	superPacked  = 96
)

// encodeRecord writes what the superblock at the start of super says of the codec
// and where fragments lie.
func (p *press) encodeRecord(super []byte) error {
	if !p.w.used.has(usesClusters) {
		return nil
	}
	le := binary.LittleEndian
	le.PutUint16(super[superMethods:], 1<<p.codec.Algorithm())
	record := super[superSize:]
	if p.codec.Algorithm() == LZ4 {
		le.PutUint16(record, 14)
		le.PutUint16(record[2:], 1<<16-1) // the furthest match
		le.PutUint16(record[4:], uint16(max(p.largest, 1)))
	} else {
		le.PutUint16(record, 6)
		record[3] = p.window() - 10 // its format, before this, is 0
	}
	if p.packed.file == nil {
		return nil
	}
	number, err := p.w.number(p.packed.file.ref)
	if err != nil {
		return err
	}
	le.PutUint64(super[superPacked:], number)
	return nil
}

// window is the base-2 logarithm of the largest window of zstd.
func (p *press) window() uint8 { return max(p.codec.WindowLog(), p.zeros.window) }
