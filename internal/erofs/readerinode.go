package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// How an inode's content is stored, by the format's numbers.
const (
	dataPlain   = 0 // in whole blocks
	dataFull    = 1 // in clusters, with indexes of 8 bytes
	dataInline  = 2 // in whole blocks, and the rest behind the inode
	dataCompact = 3 // in clusters, with indexes of 2 and 4 bytes
	dataChunks  = 4
)

// Handle names an inode. It stays valid as long as its file system and compares
// equal for all names of one inode.
type Handle struct {
	nid    uint64
	parent uint64 // of a folder: the one whose entry led here
	kind   uint32 // the type that the entry promised
}

// Inode is a file of any type, without its name.
type Inode struct {
	Handle   Handle
	Mode     uint32 // type and permissions, as POSIX systems number them
	UID, GID uint32
	Links    uint32
	Size     int64 // in bytes, of what Open or Readlink give
	// Sec and Nsec are the time of the last modification, since 1970.
	Sec          int64
	Nsec         uint32
	Major, Minor uint32 // of a device

	data      uint16 // how its content is stored
	start     uint32 // where, in a way of its own for each
	xattrs    int64  // the byte at which its attributes begin
	xattrSize int64
}

// body is the byte at which begins what follows the inode and its attributes.
func (n *Inode) body() int64 { return n.xattrs + n.xattrSize }

// Inode reads the inode of a name. One of another type than the name's entry
// says is an error.
func (f *FileSystem) Inode(h Handle) (*Inode, error) {
	n, err := f.inode(h)
	if err != nil {
		return nil, fmt.Errorf("reading inode %d: %w", h.nid, err)
	}
	return n, nil
}

func (f *FileSystem) inode(h Handle) (*Inode, error) {
	if h.kind == 0 {
		return nil, errors.New("its handle came from no file system")
	}
	if h.nid > uint64(f.super.size)/slotSize {
		return nil, fmt.Errorf("the file system ends at %d", f.super.size)
	}
	at := f.super.meta + int64(h.nid)*slotSize
	var b [extendedSize]byte
	if err := f.metadata(b[:compactSize], at); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	format := le.Uint16(b[:])
	n := &Inode{Handle: h, Mode: uint32(le.Uint16(b[4:])), start: le.Uint32(b[16:]), data: format >> 1, xattrs: at + compactSize}
	if n.data > dataChunks {
		return nil, &Unsupported{fmt.Sprintf("an inode's format %#x", format)}
	}
	if format&formatExtended == 0 {
		n.Links, n.Size = uint32(le.Uint16(b[6:])), int64(le.Uint32(b[8:]))
		n.UID, n.GID = uint32(le.Uint16(b[24:])), uint32(le.Uint16(b[26:]))
		// Kernels before 6.15 don't add what stands in the inode. It is zero in
		// what they can read.
		n.Sec, n.Nsec = f.super.sec+int64(le.Uint32(b[12:])), f.super.nsec
	} else {
		if err := f.metadata(b[compactSize:], at+compactSize); err != nil {
			return nil, err
		}
		size := le.Uint64(b[8:])
		if size > math.MaxInt64-maxCluster { // so that rounding up cannot overflow
			return nil, fmt.Errorf("a size of %d bytes", size)
		}
		n.Size, n.UID, n.GID = int64(size), le.Uint32(b[24:]), le.Uint32(b[28:])
		n.Sec, n.Nsec, n.Links = int64(le.Uint64(b[32:])), le.Uint32(b[40:]), le.Uint32(b[44:])
		n.xattrs = at + extendedSize
	}
	if count := int64(le.Uint16(b[2:])); count > 0 {
		n.xattrSize = xattrHeaderSize + (count-1)*xattrUnit
	}
	return n, n.check()
}

// check refuses inodes that no entry of a folder may name.
func (n *Inode) check() error {
	kind := n.Mode & typeMask
	switch kind {
	case typeCharacter, typeBlock:
		n.Major, n.Minor = n.start>>8&0xfff, n.start&0xff|n.start>>12&0xfff00
	case typeFIFO, typeFolder, typeRegular, typeSymlink, typeSocket:
	default:
		return fmt.Errorf("its mode %#o is of no type", n.Mode)
	}
	switch {
	case kind != n.Handle.kind:
		return fmt.Errorf("its mode is %#o, but its entry in a folder says %#o", n.Mode, n.Handle.kind)
	case n.Nsec >= 1e9:
		return fmt.Errorf("a time with %d nanoseconds", n.Nsec)
	}
	return nil
}

// checkType says whether n has the type that is asked for.
func (n *Inode) checkType(kind uint32) error {
	if n.Mode&typeMask != kind || n.xattrs == 0 {
		return fmt.Errorf("its type is %#o, not %#o", n.Mode&typeMask, kind)
	}
	return nil
}
