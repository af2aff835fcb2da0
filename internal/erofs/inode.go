package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// An inode starts on a multiple of slotSize, and its number is that offset
// divided by it, because the metadata address of our superblock is 0.
const (
	slotSize      = 32
	compactSize   = 32
	extendedSize  = 64
	slotsPerBlock = BlockSize / slotSize
)

// Where the link count lies, the one field that is set after the fact.
const (
	compactLinksAt  = 6
	extendedLinksAt = 44
)

// formatExtended marks a 64-byte inode in i_format; the data layout stands
// above it.
const formatExtended = 1

// inode is an inode's fixed part, before it has a place.
type inode struct {
	attr     Attr
	number   uint32 // i_ino, a serial number that Linux ignores on 64 bits
	links    uint32
	extended bool
	xattrs   []byte // encoded, with their header; nil for none
}

// head returns the length of what stands before the inline content.
func (i *inode) head() int {
	if i.extended {
		return extendedSize + len(i.xattrs)
	}
	return compactSize + len(i.xattrs)
}

// newInode checks a against what the format holds. The encoded attributes of
// the result are valid until the next call.
func (w *Writer) newInode(a Attr, size int64, links uint32) (inode, error) {
	if a.Mode > math.MaxUint16 {
		return inode{}, fmt.Errorf("encoding mode %#o: the format holds 16 bits", a.Mode)
	}
	if a.Nsec >= 1e9 {
		return inode{}, fmt.Errorf("encoding modification time %d: %d nanoseconds are a second or more", a.Sec, a.Nsec)
	}
	if size < 0 {
		return inode{}, fmt.Errorf("encoding size %d: it is negative", size)
	}
	xattrs, err := w.encodeXattrs(a.Xattrs)
	if err != nil {
		return inode{}, err
	}
	fits := a.Sec == w.buildSec && a.Nsec == w.buildNsec &&
		a.UID <= math.MaxUint16 && a.GID <= math.MaxUint16 &&
		links <= math.MaxUint16 && size <= math.MaxUint32
	return inode{attr: a, links: links, extended: !fits, xattrs: xattrs}, nil
}

// encode writes the inode, its attributes excluded, to the start of p, whose
// bytes must be zero.
func (i *inode) encode(p []byte, x extent) {
	le := binary.LittleEndian
	format := uint16(x.layout) << 1
	if i.extended {
		format |= formatExtended
	}
	le.PutUint16(p[0:], format)
	le.PutUint16(p[2:], xattrCount(len(i.xattrs)))
	le.PutUint16(p[4:], uint16(i.attr.Mode))
	if !i.extended {
		le.PutUint16(p[compactLinksAt:], uint16(i.links))
		le.PutUint32(p[8:], uint32(x.size))
		le.PutUint32(p[16:], x.address)
		le.PutUint32(p[20:], i.number)
		le.PutUint16(p[24:], uint16(i.attr.UID))
		le.PutUint16(p[26:], uint16(i.attr.GID))
		return
	}
	le.PutUint64(p[8:], uint64(x.size))
	le.PutUint32(p[16:], x.address)
	le.PutUint32(p[20:], i.number)
	le.PutUint32(p[24:], i.attr.UID)
	le.PutUint32(p[28:], i.attr.GID)
	le.PutUint64(p[32:], uint64(i.attr.Sec))
	le.PutUint32(p[40:], i.attr.Nsec)
	le.PutUint32(p[extendedLinksAt:], i.links)
}

// setLinks changes the link count of the encoded inode at the start of p.
func setLinks(p []byte, links uint32) error {
	if links == 0 {
		return errors.New("linking an inode: it has no name left")
	}
	le := binary.LittleEndian
	if le.Uint16(p)&formatExtended != 0 {
		le.PutUint32(p[extendedLinksAt:], links)
		return nil
	}
	if links > math.MaxUint16 {
		return fmt.Errorf("linking one inode %d times: its compact form holds at most %d names", links, math.MaxUint16)
	}
	le.PutUint16(p[compactLinksAt:], uint16(links))
	return nil
}

// deviceNumber encodes a device's number as Linux does in 32 bits.
func deviceNumber(major, minor uint32) (uint32, error) {
	if major >= 1<<12 || minor >= 1<<20 {
		return 0, fmt.Errorf("encoding device %d:%d: the format holds 12 bits of major and 20 of minor number", major, minor)
	}
	return minor&0xff | major<<8 | minor&^0xff<<12, nil
}
