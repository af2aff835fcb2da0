package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// File types of Inode.Mode and Dirent.Type, as POSIX systems have them.
const (
	typeMask    = 0o170000
	modeSocket  = 0o140000
	modeSymlink = 0o120000
	modeRegular = 0o100000
	modeBlock   = 0o060000
	modeDir     = 0o040000
	modeChar    = 0o020000
	modeFIFO    = 0o010000
)

// Basic inode types; an extended one is extended more.
const (
	typeDir = 1 + iota
	typeRegular
	typeSymlink
	typeBlock
	typeChar
	typeFIFO
	typeSocket

	extended = 7
)

const (
	none     = math.MaxUint32 // no fragment, no attributes
	permMask = 0o7777
)

// Inode is what one inode says.
type Inode struct {
	Ref      Ref
	Mode     uint32 // type and permissions as in struct stat
	UID, GID uint32
	Links    uint32
	Size     int64 // bytes of content; of a folder, what stat says and nobody needs
	Sec      int64 // modification time since the epoch: 0 to 1<<32 - 1
	Nsec     uint32
	Major    uint32 // of devices
	Minor    uint32

	xattr  uint32
	target string
	dir    place // a folder's names
	file   content
}

// content says where a regular file's bytes are.
type content struct {
	start    uint64 // place of its first block
	fragment uint32 // which holds its tail
	offset   uint32 // of the tail in the fragment
	sizes    place  // of the list of its blocks' sizes
}

// posixType returns the S_IFMT bits of a basic type, 0 if there is no such type.
func posixType(kind uint16) uint32 {
	if kind > typeSocket {
		return 0
	}
	return [...]uint32{
		0, modeDir, modeRegular, modeSymlink, modeBlock, modeChar, modeFIFO, modeSocket,
	}[kind]
}

// Inode reads an inode. One that does not have the type or the number that its
// name announced is refused: kernels would believe now the one, now the other.
func (f *FileSystem) Inode(r Ref) (*Inode, error) {
	n, err := f.readInode(r)
	if err != nil {
		return nil, fmt.Errorf("reading inode %d at %#x: %w", r.number, r.at, err)
	}
	return n, nil
}

func (f *FileSystem) inodeAt(at uint64) (*cursor, error) {
	return f.at(f.areas.inodes, place{at >> 16, uint16(at)})
}

// readNumber returns the number of the inode at a place.
func (f *FileSystem) readNumber(at uint64) (uint32, error) {
	c, err := f.inodeAt(at)
	if err != nil {
		return 0, err
	}
	b, err := c.take(16)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[12:]), nil
}

func (f *FileSystem) readInode(r Ref) (*Inode, error) {
	if posixType(r.kind) == 0 {
		return nil, errors.New("the reference is not of this package's making")
	}
	c, err := f.inodeAt(r.at)
	if err != nil {
		return nil, err
	}
	h, err := c.take(16)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	kind, mode, uid, gid, number := le.Uint16(h), le.Uint16(h[2:]), le.Uint16(h[4:]), le.Uint16(h[6:]), le.Uint32(h[12:])
	n := &Inode{Ref: r, Links: 1, Sec: int64(le.Uint32(h[8:])), xattr: none}
	switch {
	case kind != r.kind && kind != r.kind+extended:
		return nil, fmt.Errorf("it has type %d, its name has %d", kind, r.kind)
	case number != r.number:
		return nil, fmt.Errorf("it has number %d", number)
	case number == 0 || number > f.super.inodes:
		return nil, fmt.Errorf("a number above %d", f.super.inodes)
	case mode&^permMask != 0:
		return nil, fmt.Errorf("mode %#o", mode)
	case int(uid) >= len(f.ids) || int(gid) >= len(f.ids):
		return nil, fmt.Errorf("ids %d and %d of %d", uid, gid, len(f.ids))
	}
	n.Mode = posixType(r.kind) | uint32(mode)
	n.UID, n.GID = f.ids[uid], f.ids[gid]
	if err = n.readBody(c, kind); err == nil && n.Links == 0 {
		err = errors.New("it has no links")
	}
	if err != nil {
		return nil, err
	}
	return n, f.checkInode(n, c)
}

// checkInode holds an inode's sizes against what the image can hold. c is right
// after the inode's fixed part.
func (f *FileSystem) checkInode(n *Inode, c *cursor) error {
	switch n.Mode & typeMask {
	case modeDir:
		if n.Size < emptyDir || n.Size-emptyDir > f.areas.dirs.capacity(f.areas.dirs.start) {
			return fmt.Errorf("a folder of %d bytes", n.Size)
		}
	case modeRegular:
		blocks := n.Size / f.super.blockSize
		if n.file.fragment == none && n.Size%f.super.blockSize != 0 {
			blocks++
		}
		if room := c.room(); blocks > room/4 {
			return fmt.Errorf("a file of %d bytes, and room for the sizes of %d blocks", n.Size, room/4)
		}
		n.file.sizes = c.place()
	}
	return nil
}
