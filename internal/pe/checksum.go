package pe

import (
	"encoding/binary"
	"fmt"
)

// Sum computes the checksum that File.Checksum should be: ones' complement
// addition of the 16-bit words of the file, with the checksum itself taken as
// zero, plus the size. Firmware ignores it; some tools warn.
func (f *File) Sum() (uint32, error) {
	var c checksum
	c.addHeader(f.header, f.layout.checksum)
	if err := stream(&c, f.r, int64(len(f.header)), f.Size); err != nil {
		return 0, fmt.Errorf("adding up the checksum of an EFI program: %w", err)
	}
	return c.sum(), nil
}

// checksum adds up what is written to it, in order.
type checksum struct {
	total uint64
	size  int64
}

// Write never fails.
func (c *checksum) Write(b []byte) (int, error) {
	c.add(b)
	return len(b), nil
}

func (c *checksum) add(b []byte) {
	if c.size%2 == 1 && len(b) > 0 {
		c.total += uint64(b[0]) << 8
		c.size++
		b = b[1:]
	}
	c.size += int64(len(b))
	// 2^16 is 1 in this arithmetic: words of 32 bits add up to the same, and
	// 2^32 of them to less than the total can hold.
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		c.total += w>>32 + w&0xffffffff
	}
	for ; len(b) >= 2; b = b[2:] {
		c.total += uint64(binary.LittleEndian.Uint16(b))
	}
	if len(b) == 1 {
		c.total += uint64(b[0])
	}
}

// addHeader adds header with zeros for the checksum at byte at.
func (c *checksum) addHeader(header []byte, at int64) {
	c.add(header[:at])
	c.add(make([]byte, 4))
	c.add(header[at+4:])
}

func (c *checksum) sum() uint32 {
	t := c.total
	for t > 0xffff {
		t = t>>16 + t&0xffff
	}
	return uint32(t) + uint32(c.size)
}
