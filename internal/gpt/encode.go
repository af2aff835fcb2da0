package gpt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"unicode/utf16"
)

// Encode returns the two ends of the disk that t describes: primary begins at
// byte 0 and holds the protective MBR, the header and the entries; backup ends
// at byte t.Size.
func (t *Table) Encode() (primary, backup []byte, err error) {
	if !validSectorSize(t.SectorSize) {
		return nil, nil, fmt.Errorf("encoding partition table: sector size %d", t.SectorSize)
	}
	sector := uint64(t.SectorSize)
	arraySectors := uint64(entryCount*entrySize) / sector
	if t.Size < 0 || t.Size%int64(sector) != 0 || uint64(t.Size)/sector < 2*arraySectors+4 {
		return nil, nil, fmt.Errorf("encoding partition table: a disk of %d bytes does not hold it", t.Size)
	}
	last := uint64(t.Size)/sector - 1
	h := header{
		own: 1, other: last, disk: t.DiskGUID,
		first: t.FirstUsable, last: last - arraySectors - 1,
		entries: 2, count: entryCount,
	}
	if h.first == 0 {
		h.first = 2 + arraySectors
	}
	if h.first < 2+arraySectors || h.first > h.last {
		return nil, nil, fmt.Errorf("encoding partition table: first usable sector %d", h.first)
	}
	array, err := encodeEntries(t.Partitions, h.first, h.last)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding partition table: %w", err)
	}
	h.arrayCRC = crc32.ChecksumIEEE(array)

	primary = make([]byte, 2*sector, 2*sector+uint64(len(array)))
	encodeMBR(primary, last)
	h.encode(primary[sector:])
	primary = append(primary, array...)

	h.own, h.other, h.entries = last, 1, last-arraySectors
	backup = append(backup, array...)
	backup = append(backup, make([]byte, sector)...)
	h.encode(backup[len(array):])
	return primary, backup, nil
}

// BackupSize returns the number of bytes that the backup table takes at the end
// of a disk.
func BackupSize(sectorSize int) int64 { return entryCount*entrySize + int64(sectorSize) }

// Write writes both copies of t.
func (t *Table) Write(w io.WriterAt) error {
	primary, backup, err := t.Encode()
	if err != nil {
		return err
	}
	if _, err := w.WriteAt(backup, t.Size-int64(len(backup))); err != nil {
		return fmt.Errorf("writing backup partition table: %w", err)
	}
	if _, err := w.WriteAt(primary, 0); err != nil {
		return fmt.Errorf("writing primary partition table: %w", err)
	}
	return nil
}

func encodeEntries(parts []Partition, first, last uint64) ([]byte, error) {
	numbered := make([]Partition, len(parts))
	number := 0
	for i, p := range parts {
		if p.Number == 0 {
			p.Number = number + 1
		}
		if p.Number <= number || p.Number > entryCount {
			return nil, fmt.Errorf("partition number %d after %d", p.Number, number)
		}
		number = p.Number
		numbered[i] = p
	}
	if err := checkPartitions(numbered, first, last); err != nil {
		return nil, err
	}
	array := make([]byte, entryCount*entrySize)
	for _, p := range numbered {
		if (p.Type == GUID{}) {
			return nil, fmt.Errorf("partition %d has no type", p.Number)
		}
		label := utf16.Encode([]rune(p.Label))
		if len(label) > labelUnits {
			return nil, fmt.Errorf("label %q of partition %d is longer than %d UTF-16 units", p.Label, p.Number, labelUnits)
		}
		e := array[(p.Number-1)*entrySize:][:entrySize]
		kind, guid := p.Type.Swapped(), p.GUID.Swapped()
		copy(e[0:], kind[:])
		copy(e[16:], guid[:])
		binary.LittleEndian.PutUint64(e[32:], p.First)
		binary.LittleEndian.PutUint64(e[40:], p.Last)
		binary.LittleEndian.PutUint64(e[48:], p.Attributes)
		for i, unit := range label {
			binary.LittleEndian.PutUint16(e[56+2*i:], unit)
		}
	}
	return array, nil
}

// header is the GPT header; positions are sectors.
type header struct {
	own, other, first, last, entries uint64
	disk                             GUID
	count, arrayCRC                  uint32
}

// encode fills one sector.
func (h header) encode(b []byte) {
	le := binary.LittleEndian
	copy(b, headerMagic)
	le.PutUint32(b[8:], revision)
	le.PutUint32(b[12:], headerSize)
	le.PutUint64(b[24:], h.own)
	le.PutUint64(b[32:], h.other)
	le.PutUint64(b[40:], h.first)
	le.PutUint64(b[48:], h.last)
	disk := h.disk.Swapped()
	copy(b[56:], disk[:])
	le.PutUint64(b[72:], h.entries)
	le.PutUint32(b[80:], h.count)
	le.PutUint32(b[84:], entrySize)
	le.PutUint32(b[88:], h.arrayCRC)
	le.PutUint32(b[16:], 0)
	le.PutUint32(b[16:], crc32.ChecksumIEEE(b[:headerSize]))
}

// encodeMBR writes the one MBR entry that keeps tools from before GPT away.
func encodeMBR(b []byte, last uint64) {
	e := b[mbrEntries:]
	e[2] = 2 // cylinder 0, head 0, sector 2: what sector 1 is in their counting
	e[4] = mbrProtective
	e[5], e[6], e[7] = 0xff, 0xff, 0xff
	binary.LittleEndian.PutUint32(e[8:], 1)
	binary.LittleEndian.PutUint32(e[12:], uint32(min(last, math.MaxUint32)))
	b[510], b[511] = 0x55, 0xaa
}
