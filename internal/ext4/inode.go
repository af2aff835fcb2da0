package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// What the upper bits of a mode say, as POSIX systems have them.
const (
	typeMask    = 0xf000
	typeFIFO    = 0x1000
	typeChar    = 0x2000
	typeFolder  = 0x4000
	typeBlock   = 0x6000
	typeRegular = 0x8000
	typeLink    = 0xa000
	typeSocket  = 0xc000
)

// Flags of an inode that change how it is read.
const (
	flagEncrypted  = 0x800
	flagIndexed    = 0x1000
	flagHuge       = 0x40000 // blocks are counted in blocks
	flagExtents    = 0x80000
	flagVerity     = 0x100000
	flagXattrInode = 0x200000
	flagInlineData = 0x10000000
	flagCaseFold   = 0x40000000
)

// mapSize is how many bytes an inode has for the map of its blocks, or for data
// in their place.
const mapSize = 60

// Ref names an inode. Two names with equal Refs are hard links to one file.
type Ref struct {
	ino    uint32
	parent uint32 // of a folder: the one whose entry led here
	kind   uint16 // the type that the entry promised
}

// Inode is a file of any type, without its name.
type Inode struct {
	Ref      Ref
	Mode     uint32 // type and permissions, as POSIX systems number them
	UID, GID uint32
	Links    uint32 // as the file system counts them: 1 also stands for a folder with very many
	Size     int64  // in bytes, of what Open or Readlink give
	// Sec and Nsec are the time of the last modification, since 1970.
	Sec          int64
	Nsec         uint32
	Major, Minor uint32 // of a device

	raw        []byte // the inode as it is on disk
	flags      uint32
	extraEnd   int64 // where the fields end and attributes begin in raw; 0 for no attributes
	xattrBlock uint64
	seed       uint32 // of the checksums of its blocks
}

// Inode reads the inode of a name. A deleted one, and one of another type than
// the name's entry says, are errors.
func (f *FileSystem) Inode(r Ref) (*Inode, error) {
	n, err := f.inode(r)
	if err != nil {
		return nil, fmt.Errorf("reading ext4 inode %d: %w", r.ino, err)
	}
	return n, nil
}

func (f *FileSystem) inode(r Ref) (*Inode, error) {
	raw, err := f.rawInode(r.ino)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	n := &Inode{
		Ref:   r,
		Mode:  uint32(le.Uint16(raw)),
		UID:   uint32(le.Uint16(raw[0x2:])) | uint32(le.Uint16(raw[0x78:]))<<16,
		GID:   uint32(le.Uint16(raw[0x18:])) | uint32(le.Uint16(raw[0x7a:]))<<16,
		Links: uint32(le.Uint16(raw[0x1a:])),
		Sec:   int64(int32(le.Uint32(raw[0x10:]))),
		raw:   raw,
		flags: le.Uint32(raw[0x20:]),
	}
	n.seed = sum(sum32(f.super.seed, r.ino), raw[0x64:0x68])
	if err := f.parseExtra(n); err != nil {
		return nil, err
	}
	if err := f.checkInode(n); err != nil {
		return nil, err
	}
	if err := f.parseSize(n); err != nil {
		return nil, err
	}
	n.xattrBlock = uint64(le.Uint32(raw[0x68:]))
	if f.super.incompat&incompat64Bit != 0 {
		n.xattrBlock |= uint64(le.Uint16(raw[0x76:])) << 32
	}
	return n, n.parseDevice()
}

// rawInode returns a copy of an inode.
func (f *FileSystem) rawInode(ino uint32) ([]byte, error) {
	s := &f.super
	if ino == 0 || ino > s.inodes {
		return nil, fmt.Errorf("there are only inodes 1 to %d", s.inodes)
	}
	table, err := f.inodeTable(uint64((ino - 1) / s.inodesPerGroup))
	if err != nil {
		return nil, err
	}
	at := int64((ino-1)%s.inodesPerGroup) * s.inodeSize
	block, err := f.block(table + uint64(at/s.blockSize))
	if err != nil {
		return nil, err
	}
	return slices.Clone(block[at%s.blockSize:][:s.inodeSize]), nil
}

// parseExtra reads what lies behind the first 128 bytes, and checks the
// checksum, half of which does.
func (f *FileSystem) parseExtra(n *Inode) error {
	le := binary.LittleEndian
	var extra int64
	if f.super.inodeSize > goodOldInodeSize {
		extra = int64(le.Uint16(n.raw[0x80:]))
		if extra%4 != 0 || extra > f.super.inodeSize-goodOldInodeSize {
			return fmt.Errorf("%d bytes of extra fields", extra)
		}
	}
	if f.super.sums() {
		plain := slices.Clone(n.raw)
		mask := uint32(0xffff)
		want := uint32(le.Uint16(plain[0x7c:]))
		clear(plain[0x7c:0x7e])
		if extra >= 4 {
			mask = 0xffffffff
			want |= uint32(le.Uint16(plain[0x82:])) << 16
			clear(plain[0x82:0x84])
		}
		if sum(n.seed, plain)&mask != want {
			return errSum
		}
	}
	if extra != 0 {
		n.extraEnd = goodOldInodeSize + extra
	}
	// As in Linux, no extra fields at all means all that it knows of: they are
	// zeros then.
	if extra >= 0xc || extra == 0 && f.super.inodeSize > goodOldInodeSize {
		more := le.Uint32(n.raw[0x88:])
		n.Sec += int64(more&3) << 32
		if n.Nsec = more >> 2; n.Nsec >= 1e9 {
			return fmt.Errorf("a time with %d nanoseconds", n.Nsec)
		}
	}
	return nil
}

// checkInode refuses inodes that no entry of a folder may name, and those that
// this package can't read.
func (f *FileSystem) checkInode(n *Inode) error {
	s := &f.super
	if n.Ref.ino != rootInode && n.Ref.ino < s.firstInode || slices.Contains(s.hidden[:], n.Ref.ino) {
		return errors.New("it is the file system's own")
	}
	kind := n.Mode & typeMask
	switch kind {
	case typeFIFO, typeChar, typeFolder, typeBlock, typeRegular, typeLink, typeSocket:
	default:
		return fmt.Errorf("its mode %#o is of no type", n.Mode)
	}
	if n.Ref.kind != 0 && kind != uint32(n.Ref.kind) {
		return fmt.Errorf("its mode is %#o, but its entry in a folder says %#o", n.Mode, n.Ref.kind)
	}
	if n.Links == 0 || binary.LittleEndian.Uint32(n.raw[0x14:]) != 0 {
		return errors.New("it is named in a folder but was deleted")
	}
	switch {
	case n.flags&flagXattrInode != 0:
		return errors.New("it holds another one's attribute, but has a name")
	case n.flags&flagEncrypted != 0:
		return &Unsupported{"encryption"}
	case n.flags&flagCaseFold != 0 && kind == typeFolder:
		return &Unsupported{"folders that ignore case"}
	case n.flags&flagExtents != 0 && s.incompat&incompatExtents == 0:
		return errors.New("it has extents, which the file system doesn't")
	case n.flags&flagInlineData != 0 && s.incompat&incompatInlineData == 0:
		return errors.New("it holds data, which the file system's inodes don't")
	case n.flags&flagInlineData != 0 && n.flags&flagExtents != 0:
		return errors.New("it holds data and extents in the same place")
	}
	return nil
}

// parseSize reads the size in bytes.
func (f *FileSystem) parseSize(n *Inode) error {
	le := binary.LittleEndian
	size := uint64(le.Uint32(n.raw[0x4:]))
	kind := n.Mode & typeMask
	// Once the upper half belonged to other things.
	if kind == typeRegular || f.super.incompat&incompatLargeDir != 0 {
		size |= uint64(le.Uint32(n.raw[0x6c:])) << 32
	}
	limit := uint64(1<<32-1) * uint64(f.super.blockSize) // what extents can reach
	if size > limit {
		return fmt.Errorf("%d bytes are more than any file has", size)
	}
	n.Size = int64(size)
	return nil
}

// parseDevice reads a device's numbers, of 8 bits each in the first slot or of
// 12 and 20 in the second.
func (n *Inode) parseDevice() error {
	if kind := n.Mode & typeMask; kind != typeChar && kind != typeBlock {
		return nil
	}
	le := binary.LittleEndian
	if old := le.Uint32(n.raw[0x28:]); old != 0 {
		if old > 0xffff {
			return fmt.Errorf("device number %#x has more than 16 bits", old)
		}
		n.Major, n.Minor = old>>8, old&0xff
		return nil
	}
	number := le.Uint32(n.raw[0x2c:])
	n.Major, n.Minor = number&0xfff00>>8, number&0xff|number>>12&0xfff00
	return nil
}

// blockMap returns the bytes that hold the map of blocks.
func (n *Inode) blockMap() []byte { return n.raw[0x28:][:mapSize] }

// check says whether n came from [FileSystem.Inode] and has the type that is
// asked for.
func (n *Inode) check(kind uint32) error {
	if len(n.raw) == 0 {
		return errors.New("it was not read from a file system")
	}
	if got := uint32(binary.LittleEndian.Uint16(n.raw)) & typeMask; got != kind {
		return fmt.Errorf("its type is %#o, not %#o", got, kind)
	}
	return nil
}
