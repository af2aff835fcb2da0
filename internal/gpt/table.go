// Package gpt reads and writes GUID partition tables (UEFI 2.10, section 5.3)
// at sector sizes from 512 to 4096 bytes, and names the partition types of the
// Discoverable Partitions Specification (UAPI.2) that extension images use.
//
// Reading is strict: both copies of the table and the protective MBR are
// checked, and what is wrong with one of them is told even where the other
// suffices. Left out on purpose: hybrid MBRs, entries of other sizes than 128
// bytes (the Linux kernel takes no other either) and any way to edit a table on
// a disk in use.
package gpt

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"inlay/internal/guid"
)

const (
	// MinSectorSize is the least sector size in bytes. All are powers of two;
	// those up to MaxSectorSize are what systemd probes for.
	MinSectorSize = 512
	// MaxSectorSize is the largest sector size in bytes.
	MaxSectorSize = 4096

	entrySize  = 128 // bytes; the kernel refuses every other size
	entryCount = 128 // entries that Encode makes room for, as all tools do
	// maxEntries bounds what Parse reads: eight times the usual number, 128 KiB.
	maxEntries  = 1024
	labelUnits  = 36 // UTF-16 code units in an entry's label
	headerSize  = 92 // bytes of the header that the first CRC covers
	headerMagic = "EFI PART"
	revision    = 0x00010000 // 1.0, the only one
)

// Attributes of a partition, as UAPI.2 numbers them.
const (
	// ReadOnly asks for a read-only mount.
	ReadOnly uint64 = 1 << 60
	// NoAuto hides the partition from automatic discovery.
	NoAuto uint64 = 1 << 63
)

// GUID is the identifier of a disk, of a partition or of a type of partition.
type GUID = guid.GUID

// ErrNoTable is what Parse returns for a file without any sign of a partition
// table, for example a naked file system.
var ErrNoTable = errors.New("no GUID partition table")

// Table is one partition table.
type Table struct {
	DiskGUID   GUID
	SectorSize int   // in bytes
	Size       int64 // of the disk that the table describes, in bytes
	// FirstUsable is the first sector that a partition may use. Encode takes
	// zero for the first one behind the table.
	FirstUsable uint64
	Partitions  []Partition // by ascending Number
	// Gaps are the places that Parse found before the first partition where
	// nothing of the table lies: the boot code of the MBR, and what is left
	// between header, entries and partitions. Encode leaves zeros there.
	Gaps []Gap
	// Damage tells what Parse found wrong with the copies of the table that it
	// did not need. Encode ignores it.
	Damage []Damage
}

// Gap is a place on a disk that belongs to nothing, in bytes.
type Gap struct{ Offset, Size int64 }

// Partition is one used entry of a table.
type Partition struct {
	Number      int // place in the table, from 1; Encode counts on from the entry before if it is 0
	Type        GUID
	GUID        GUID
	First, Last uint64 // sectors, both inclusive
	Attributes  uint64
	Label       string // at most 36 UTF-16 code units
}

// Offset returns where p begins in the file, in bytes.
func (t *Table) Offset(p Partition) int64 { return int64(p.First) * int64(t.SectorSize) }

// Length returns the size of p in bytes.
func (t *Table) Length(p Partition) int64 { return int64(p.Last-p.First+1) * int64(t.SectorSize) }

// Damage is a fault in one part of a partition table that a sound copy made
// good for.
type Damage struct {
	Part string // "protective MBR", "primary table" or "backup table"
	Err  error
}

// String says which part is damaged and how.
func (d Damage) String() string { return d.Part + ": " + d.Err.Error() }

// validSectorSize tells whether a table can be kept in sectors of n bytes.
func validSectorSize(n int) bool {
	return n >= MinSectorSize && n <= MaxSectorSize && n&(n-1) == 0
}

// checkPartitions refuses partitions outside of the sectors first to last,
// overlapping ones, and GUIDs that do not tell them apart.
func checkPartitions(parts []Partition, first, last uint64) error {
	seen := make(map[GUID]int, len(parts))
	for _, p := range parts {
		switch {
		case p.GUID == GUID{}:
			return fmt.Errorf("partition %d has no GUID", p.Number)
		case p.First > p.Last:
			return fmt.Errorf("partition %d ends at sector %d before it begins at %d", p.Number, p.Last, p.First)
		case p.First < first || p.Last > last:
			return fmt.Errorf("partition %d (sectors %d to %d) leaves the usable sectors %d to %d", p.Number, p.First, p.Last, first, last)
		}
		if other, dup := seen[p.GUID]; dup {
			return fmt.Errorf("partitions %d and %d have the same GUID %s", other, p.Number, p.GUID)
		}
		seen[p.GUID] = p.Number
	}
	byStart := slices.SortedFunc(slices.Values(parts), func(a, b Partition) int { return cmp.Compare(a.First, b.First) })
	for i := 1; i < len(byStart); i++ {
		if a, b := byStart[i-1], byStart[i]; b.First <= a.Last {
			return fmt.Errorf("partitions %d and %d overlap at sector %d", a.Number, b.Number, b.First)
		}
	}
	return nil
}
