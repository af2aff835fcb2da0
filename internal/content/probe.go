package content

import (
	"encoding/binary"
	"io"
	"math"
	"math/bits"
)

// superblock is the start of a file system, as far as any superblock is needed.
const superblock = 0x10000 + 0x1000

// Probe knows a file system by its magic number and returns blkid's word for
// it (erofs, squashfs, ext2, ext3, ext4, btrfs, xfs, vfat or f2fs), or "", and
// the bytes that it takes by its own account: 0 if it gives none, and the most
// there is if that is more than a file can have. size is that of r; a file system that is
// cut short is still known by its start.
func Probe(r io.ReaderAt, size int64) (fsType string, fsSize int64) {
	b := make([]byte, min(max(size, 0), superblock))
	n, err := r.ReadAt(b, 0)
	if n < 0 || n < len(b) && err == nil {
		return "", 0
	}
	s := start(b[:n])
	switch {
	case s.has(1024, "\xe2\xe1\xf5\xe0"):
		return "erofs", s.erofs()
	case s.has(0, "hsqs"):
		return "squashfs", saturate(0, s.u64(40))
	case s.has(1024+56, "\x53\xef"):
		return s.ext()
	case s.has(0, "XFSB"):
		hi, lo := bits.Mul64(binary.BigEndian.Uint64(s.at(8, 8)), uint64(binary.BigEndian.Uint32(s.at(4, 4))))
		return "xfs", saturate(hi, lo)
	case s.has(0x10040, "_BHRfS_M"):
		return "btrfs", saturate(0, s.u64(0x10070))
	case s.has(1024, "\x10\x20\xf5\xf2"):
		return "f2fs", shifted(s.u64(1024+36), s.u32(1024+16))
	case s.has(510, "\x55\xaa") && (s.has(54, "FAT1") || s.has(82, "FAT32 ")):
		sectors := uint64(s.u16(19))
		if sectors == 0 {
			sectors = uint64(s.u32(32))
		}
		return "vfat", saturate(0, sectors*uint64(s.u16(11)))
	}
	return "", 0
}

// start is the start of a file system. What lies past its end is 0.
type start []byte

func (s start) at(off, n int) []byte {
	b := make([]byte, n)
	if off < len(s) {
		copy(b, s[off:])
	}
	return b
}

func (s start) has(off int, magic string) bool {
	return off+len(magic) <= len(s) && string(s[off:off+len(magic)]) == magic
}

func (s start) u16(off int) uint16 { return binary.LittleEndian.Uint16(s.at(off, 2)) }
func (s start) u32(off int) uint32 { return binary.LittleEndian.Uint32(s.at(off, 4)) }
func (s start) u64(off int) uint64 { return binary.LittleEndian.Uint64(s.at(off, 8)) }

// erofs48Bit is the feature that keeps 16 more bits of the number of blocks
// where the number of the root's inode was.
const erofs48Bit = 0x80

func (s start) erofs() int64 {
	blocks := uint64(s.u32(1024 + 36))
	if s.u32(1024+80)&erofs48Bit != 0 {
		blocks |= uint64(s.u16(1024+14)) << 32
	}
	return shifted(blocks, uint32(s.at(1024+12, 1)[0]))
}

// Features of ext2 and its successors that tell them apart. What is beyond
// the masks came with ext4.
const (
	extJournal      = 0x4  // compatible
	ext3Incompat    = 0x16 // entry types, needs recovery, meta block groups
	ext2Incompat    = 0x12 // without a journal there is nothing to recover
	ext3ReadCompat  = 0x7  // sparse superblocks, large files, indexed folders
	ext64Bit        = 0x80 // incompatible: block numbers have 64 bits
	extMaxBlockBits = 6    // 64 KiB
)

// ext tells ext2, ext3 and ext4 apart by the rules of blkid.
func (s start) ext() (fsType string, fsSize int64) {
	compat, incompat, readCompat := s.u32(1024+92), s.u32(1024+96), s.u32(1024+100)
	blocks := uint64(s.u32(1024 + 4))
	if incompat&ext64Bit != 0 {
		blocks |= uint64(s.u32(1024+0x150)) << 32
	}
	fsType = "ext4"
	journal := compat&extJournal != 0
	switch {
	case readCompat&^ext3ReadCompat != 0:
	case journal && incompat&^ext3Incompat == 0:
		fsType = "ext3"
	case !journal && incompat&^ext2Incompat == 0:
		fsType = "ext2"
	}
	if s.u32(1024+24) > extMaxBlockBits {
		return fsType, math.MaxInt64
	}
	return fsType, shifted(blocks, 10+s.u32(1024+24))
}

// shifted is n << by, at most the largest size.
func shifted(n uint64, by uint32) int64 {
	if by >= 64 {
		return saturate(n, 0)
	}
	hi, lo := bits.Mul64(n, 1<<by)
	return saturate(hi, lo)
}

// saturate makes a size of 128 bits: one that is too large to be true must not
// come out as a small one.
func saturate(hi, lo uint64) int64 {
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// UUID returns the UUID that a file system names itself by, as the 16 bytes
// stand in it: those of all zeros, and those of kinds that have none, are not
// found.
func UUID(r io.ReaderAt, size int64) (uuid [16]byte, found bool) {
	kind, _ := Probe(r, size)
	at, known := map[string]int64{
		"erofs": 1024 + 48, "ext2": 1024 + 104, "ext3": 1024 + 104, "ext4": 1024 + 104,
		"xfs": 32, "btrfs": 0x10020, "f2fs": 1024 + 108,
	}[kind]
	if !known {
		return uuid, false
	}
	if n, err := r.ReadAt(uuid[:], at); n < len(uuid) && err != nil {
		return [16]byte{}, false
	}
	return uuid, uuid != [16]byte{}
}
