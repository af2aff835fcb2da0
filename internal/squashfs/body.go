package squashfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

const maxTarget = 4095 // bytes of a symbolic link's: PATH_MAX less its NUL

// readBody reads what follows an inode's header, which is another thing for
// each of the types.
func (n *Inode) readBody(c *cursor, kind uint16) error {
	switch kind {
	case typeDir:
		return n.readDir(c)
	case typeDir + extended:
		return n.readExtendedDir(c)
	case typeRegular:
		return n.readFile(c)
	case typeRegular + extended:
		return n.readExtendedFile(c)
	}
	return n.readSpecial(c, kind)
}

func (n *Inode) readDir(c *cursor) error {
	b, err := c.take(16)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	n.Links, n.Size = le.Uint32(b[4:]), int64(le.Uint16(b[8:]))
	n.dir = place{uint64(le.Uint32(b)), le.Uint16(b[10:])}
	return nil
}

func (n *Inode) readExtendedDir(c *cursor) error {
	b, err := c.take(24)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	n.Links, n.Size = le.Uint32(b), int64(le.Uint32(b[4:]))
	n.dir = place{uint64(le.Uint32(b[8:])), le.Uint16(b[18:])}
	n.xattr = le.Uint32(b[20:])
	return nil
}

func (n *Inode) readFile(c *cursor) error {
	b, err := c.take(16)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	n.file = content{start: uint64(le.Uint32(b)), fragment: le.Uint32(b[4:]), offset: le.Uint32(b[8:])}
	n.Size = int64(le.Uint32(b[12:]))
	return nil
}

func (n *Inode) readExtendedFile(c *cursor) error {
	b, err := c.take(40)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	n.file = content{start: le.Uint64(b), fragment: le.Uint32(b[28:]), offset: le.Uint32(b[32:])}
	size := le.Uint64(b[8:])
	if size > math.MaxInt64-maxBlockSize { // so that rounding up cannot overflow
		return fmt.Errorf("a size of %d bytes", size)
	}
	n.Size, n.Links, n.xattr = int64(size), le.Uint32(b[24:]), le.Uint32(b[36:])
	return nil
}

// readSpecial reads symbolic links, devices, pipes and sockets.
func (n *Inode) readSpecial(c *cursor, kind uint16) error {
	le := binary.LittleEndian
	b, err := c.take(4)
	if err != nil {
		return err
	}
	n.Links = le.Uint32(b)
	switch kind {
	case typeSymlink, typeSymlink + extended:
		if err := n.readTarget(c); err != nil {
			return err
		}
	case typeBlock, typeChar, typeBlock + extended, typeChar + extended:
		if b, err = c.take(4); err != nil {
			return err
		}
		device := le.Uint32(b)
		n.Major, n.Minor = device>>8&0xfff, device&0xff|device>>12&0xfff00
	}
	if kind <= extended {
		return nil
	}
	if b, err = c.take(4); err != nil {
		return err
	}
	n.xattr = le.Uint32(b)
	return nil
}

func (n *Inode) readTarget(c *cursor) error {
	b, err := c.take(4)
	if err != nil {
		return err
	}
	size := binary.LittleEndian.Uint32(b)
	if size == 0 || size > maxTarget {
		return fmt.Errorf("a link's target of %d bytes", size)
	}
	target := make([]byte, size)
	if err := c.fill(target); err != nil {
		return err
	}
	if bytes.IndexByte(target, 0) >= 0 {
		return fmt.Errorf("a link's target with a NUL in it: %q", target)
	}
	n.target, n.Size = string(target), int64(size)
	return nil
}

// Readlink returns the target of a symbolic link.
func (f *FileSystem) Readlink(n *Inode) (string, error) {
	if n.Mode&typeMask != modeSymlink {
		return "", fmt.Errorf("reading inode %d as a link: it has mode %#o", n.Ref.number, n.Mode)
	}
	return n.target, nil
}
