package erofs

import "encoding/binary"

// Fields of the superblock that only compressed images have.
const (
	superMethods = 84
	superPacked  = 96
)

// encodeRecord writes what the superblock at the start of p says of the codec
// and where fragments lie.
func (c *press) encodeRecord(p []byte) error {
	if !c.w.used.has(usesClusters) {
		return nil
	}
	le := binary.LittleEndian
	le.PutUint16(p[superMethods:], 1<<c.codec.Algorithm())
	record := p[superSize:]
	if c.codec.Algorithm() == LZ4 {
		le.PutUint16(record, 14)
		le.PutUint16(record[2:], 1<<16-1) // the furthest match
		le.PutUint16(record[4:], uint16(c.largest))
	} else {
		le.PutUint16(record, 6)
		record[3] = c.window() - 10 // its format, before this, is 0
	}
	if c.packed == nil {
		return nil
	}
	number, err := c.w.number(c.packed.ref)
	if err != nil {
		return err
	}
	le.PutUint64(p[superPacked:], number)
	return nil
}

// window is the base-2 logarithm of the largest window of zstd.
func (c *press) window() uint8 { return max(c.codec.WindowLog(), c.zeros.window) }
