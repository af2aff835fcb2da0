package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"unicode/utf16"
)

const (
	mbrEntries    = 446
	mbrEntrySize  = 16
	mbrProtective = 0xee
)

// Parse reads the table of a disk image of size bytes. The primary copy
// counts; where it is damaged the backup at the end of the file does. What is
// wrong with the copy that did not count, or a difference between the two, is
// in Table.Damage. Bytes behind the table's end (Table.Size) are ignored.
//
// A file without a table is ErrNoTable.
func Parse(r io.ReaderAt, size int64) (*Table, error) {
	sector, err := probe(r, size)
	if err != nil {
		return nil, err
	}
	var damage []Damage
	if err := checkMBR(r); err != nil {
		damage = append(damage, Damage{"protective MBR", err})
	}
	d := disk{r: r, sector: sector, sectors: uint64(size) / uint64(sector)}
	primary, perr := d.primary()
	at := d.sectors - 1
	if perr == nil {
		at = primary.other
	}
	backup, berr := d.backup(at)
	switch {
	case perr != nil && berr != nil:
		return nil, fmt.Errorf("reading partition table: %w", errors.Join(
			fmt.Errorf("primary table: %w", perr), fmt.Errorf("backup table: %w", berr)))
	case perr != nil:
		damage = append(damage, Damage{"primary table", perr})
		primary = backup
	case berr != nil:
		damage = append(damage, Damage{"backup table", berr})
	case primary.disk != backup.disk || primary.first != backup.first || primary.last != backup.last ||
		!slices.Equal(primary.parts, backup.parts):
		damage = append(damage, Damage{"backup table", errors.New("says other things than the primary table")})
	}
	return &Table{
		DiskGUID:    primary.disk,
		SectorSize:  sector,
		Size:        int64(max(primary.own, primary.other)+1) * int64(sector),
		FirstUsable: primary.first,
		Partitions:  primary.parts,
		Gaps:        d.gaps(primary),
		Damage:      damage,
	}, nil
}

// disk is a file seen as sectors.
type disk struct {
	r       io.ReaderAt
	sector  int
	sectors uint64
}

// contents is one copy of a table.
type contents struct {
	header
	parts []Partition
}

func (d disk) primary() (contents, error) {
	c, err := d.read(1)
	if err != nil {
		return c, err
	}
	if c.entries < 2 || c.entries+d.arraySectors(c.count) > c.first {
		return c, fmt.Errorf("entries at sector %d are not between the header and the first usable sector %d", c.entries, c.first)
	}
	if c.other >= d.sectors {
		return c, fmt.Errorf("backup header is in sector %d, but there are only %d sectors: the file is cut short", c.other, d.sectors)
	}
	if c.other <= c.last {
		return c, fmt.Errorf("backup header in sector %d is among the usable sectors up to %d", c.other, c.last)
	}
	return c, nil
}

func (d disk) backup(at uint64) (contents, error) {
	c, err := d.read(at)
	if err != nil {
		return c, err
	}
	if c.entries <= c.last || c.entries+d.arraySectors(c.count) > at {
		return c, fmt.Errorf("entries at sector %d are not between the last usable sector %d and the header at %d", c.entries, c.last, at)
	}
	if c.other != 1 {
		return c, fmt.Errorf("primary header at sector %d", c.other)
	}
	return c, nil
}

func (d disk) arraySectors(count uint32) uint64 {
	return (uint64(count)*entrySize + uint64(d.sector) - 1) / uint64(d.sector)
}

// read reads the header in sector at and the entries it points to, and checks
// what is the same for both copies.
func (d disk) read(at uint64) (contents, error) {
	b := make([]byte, d.sector)
	if err := readFull(d.r, b, int64(at)*int64(d.sector)); err != nil {
		return contents{}, err
	}
	h, err := parseHeader(b)
	if err != nil {
		return contents{}, err
	}
	switch {
	case h.own != at:
		return contents{}, fmt.Errorf("header of sector %d found in sector %d", h.own, at)
	case h.first >= 2+d.arraySectors(h.count) && h.first <= h.last && h.last >= d.sectors:
		return contents{}, fmt.Errorf("usable sectors %d to %d, but there are only %d sectors: the file is cut short", h.first, h.last, d.sectors)
	case h.first < 2+d.arraySectors(h.count) || h.first > h.last:
		return contents{}, fmt.Errorf("usable sectors %d to %d of %d", h.first, h.last, d.sectors)
	case h.entries >= d.sectors || d.arraySectors(h.count) > d.sectors-h.entries:
		return contents{}, fmt.Errorf("entries at sector %d of %d", h.entries, d.sectors)
	}
	array := make([]byte, h.count*entrySize)
	if err := readFull(d.r, array, int64(h.entries)*int64(d.sector)); err != nil {
		return contents{}, err
	}
	if sum := crc32.ChecksumIEEE(array); sum != h.arrayCRC {
		return contents{}, fmt.Errorf("checksum of the entries is %08x, not %08x", sum, h.arrayCRC)
	}
	c := contents{header: h}
	for number := range int(h.count) {
		if p, used := parseEntry(array[number*entrySize:][:entrySize]); used {
			p.Number = number + 1
			c.parts = append(c.parts, p)
		}
	}
	return c, checkPartitions(c.parts, h.first, h.last)
}

func parseHeader(b []byte) (header, error) {
	le := binary.LittleEndian
	if string(b[:len(headerMagic)]) != headerMagic {
		return header{}, errors.New("no header")
	}
	if r := le.Uint32(b[8:]); r != revision {
		return header{}, fmt.Errorf("revision %#08x", r)
	}
	if n := le.Uint32(b[12:]); n != headerSize {
		return header{}, fmt.Errorf("header of %d bytes", n)
	}
	sum := le.Uint32(b[16:])
	clean := bytes.Clone(b[:headerSize])
	clear(clean[16:20])
	if got := crc32.ChecksumIEEE(clean); got != sum {
		return header{}, fmt.Errorf("checksum of the header is %08x, not %08x", got, sum)
	}
	if le.Uint32(b[20:]) != 0 || slices.ContainsFunc(b[headerSize:], func(c byte) bool { return c != 0 }) {
		return header{}, errors.New("bytes in the reserved part of the header")
	}
	h := header{
		own: le.Uint64(b[24:]), other: le.Uint64(b[32:]),
		first: le.Uint64(b[40:]), last: le.Uint64(b[48:]),
		disk:    GUID(b[56:72]).Swapped(),
		entries: le.Uint64(b[72:]),
		count:   le.Uint32(b[80:]), arrayCRC: le.Uint32(b[88:]),
	}
	if n := le.Uint32(b[84:]); n != entrySize {
		return header{}, fmt.Errorf("entries of %d bytes", n)
	}
	if h.count == 0 || h.count > maxEntries {
		return header{}, fmt.Errorf("%d entries (at most %d)", h.count, maxEntries)
	}
	return h, nil
}

func parseEntry(e []byte) (p Partition, used bool) {
	le := binary.LittleEndian
	p = Partition{
		Type:       GUID(e[0:16]).Swapped(),
		GUID:       GUID(e[16:32]).Swapped(),
		First:      le.Uint64(e[32:]),
		Last:       le.Uint64(e[40:]),
		Attributes: le.Uint64(e[48:]),
	}
	units := make([]uint16, 0, labelUnits)
	for i := range labelUnits {
		unit := le.Uint16(e[56+2*i:])
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	p.Label = string(utf16.Decode(units))
	return p, p.Type != GUID{}
}

// readFull reads all of b: a file that ends too early is an error.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), off, err)
}
