package gpt_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"inlay/internal/gpt"
)

// memory is a disk image in memory.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }

func (m memory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }

func (m memory) size() int64 { return int64(len(m)) }

// table returns a disk of 1 MiB with two adjoining partitions and a third one
// behind a gap, in the table and on the disk.
func table(sectorSize int) *gpt.Table {
	per := uint64(4096 / sectorSize) // sectors in 4 KiB
	return &gpt.Table{
		DiskGUID:   gpt.GUID{0: 0xd1, 15: 0x5c},
		SectorSize: sectorSize,
		Size:       1 << 20,
		Partitions: []gpt.Partition{
			{Type: gpt.GUID{1}, GUID: gpt.GUID{11}, First: 10 * per, Last: 20*per - 1, Attributes: gpt.ReadOnly, Label: "first"},
			{Type: gpt.GUID{2}, GUID: gpt.GUID{12}, First: 20 * per, Last: 30*per - 1, Label: "zweite Tür 🚪"},
			{Number: 7, Type: gpt.GUID{1}, GUID: gpt.GUID{13}, First: 40 * per, Last: 41*per - 1, Attributes: gpt.NoAuto},
		},
	}
}

func newDisk(t testing.TB, sectorSize int) memory {
	t.Helper()
	m := make(memory, 1<<20)
	if err := table(sectorSize).Write(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// editor changes a disk and then puts the checksums right, so that only the
// change itself can be at fault.
type editor struct {
	m      memory
	sector int
}

func (e editor) header(backup bool) []byte {
	if backup {
		return e.m[len(e.m)-e.sector:]
	}
	return e.m[e.sector : 2*e.sector]
}

func (e editor) entries(backup bool) []byte {
	if backup {
		return e.m[len(e.m)-e.sector-128*128:][:128*128]
	}
	return e.m[2*e.sector:][:128*128]
}

// both makes the same change to both headers.
func (e editor) both(change func(h []byte)) {
	change(e.header(false))
	change(e.header(true))
	e.seal()
}

// entry makes the same change to entry number n, from 1, of both copies.
func (e editor) entry(n int, change func(entry []byte)) {
	for _, backup := range []bool{false, true} {
		change(e.entries(backup)[(n-1)*128:][:128])
	}
	e.seal()
}

func (e editor) seal() {
	for _, backup := range []bool{false, true} {
		h := e.header(backup)
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(e.entries(backup)))
		clear(h[16:20])
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
	}
}
