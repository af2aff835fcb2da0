package gpt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// probe finds the sector size: the header of the primary table is in the
// second sector, that of the backup in the last.
func probe(r io.ReaderAt, size int64) (int, error) {
	for _, where := range []func(sector int64) int64{
		func(sector int64) int64 { return sector },
		func(sector int64) int64 { return size/sector*sector - sector },
	} {
		found := 0
		for sector := MinSectorSize; sector <= MaxSectorSize; sector *= 2 {
			// Three sectors are less than any table, and keep the arithmetic
			// of the callers above zero.
			if size < 3*int64(sector) {
				break
			}
			var magic [len(headerMagic)]byte
			if err := readFull(r, magic[:], where(int64(sector))); err != nil {
				return 0, fmt.Errorf("reading partition table: %w", err)
			}
			if string(magic[:]) != headerMagic {
				continue
			}
			if found != 0 {
				return 0, fmt.Errorf("reading partition table: headers for sectors of %d and of %d bytes", found, sector)
			}
			found = sector
		}
		if found != 0 {
			return found, nil
		}
	}
	return 0, ErrNoTable
}

// checkMBR wants one protective entry and nothing else: another one would show
// other partitions to a reader that believes the MBR.
func checkMBR(r io.ReaderAt) error {
	var b [512]byte
	if err := readFull(r, b[:], 0); err != nil {
		return err
	}
	if b[510] != 0x55 || b[511] != 0xaa {
		return errors.New("no signature")
	}
	e := b[mbrEntries:510]
	if e[4] != mbrProtective || binary.LittleEndian.Uint32(e[8:]) != 1 {
		return errors.New("first entry does not protect the disk")
	}
	if slices.ContainsFunc(e[mbrEntrySize:], func(c byte) bool { return c != 0 }) {
		return errors.New("more than the protective entry")
	}
	return nil
}

// gaps are what lies free before the first partition of c, the primary copy. Of
// a backup that counts nobody can tell where the primary's entries were.
func (d disk) gaps(c contents) []Gap {
	if c.own != 1 {
		return nil
	}
	first := c.first
	if len(c.parts) > 0 {
		first = slices.MinFunc(c.parts, func(a, b Partition) int { return cmp.Compare(a.First, b.First) }).First
	}
	sector := int64(d.sector)
	gaps := []Gap{{0, mbrEntries}}
	for _, between := range [][2]uint64{{2, c.entries}, {c.entries + d.arraySectors(c.count), first}} {
		if between[0] < between[1] {
			gaps = append(gaps, Gap{int64(between[0]) * sector, int64(between[1]-between[0]) * sector})
		}
	}
	return gaps
}
