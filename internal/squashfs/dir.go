package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	emptyDir    = 3   // size of an empty folder: . and .. count in the kernel's way
	maxRun      = 256 // names below one header
	maxName     = 255 // what Linux can look up; the format could hold one byte more
	maxListing  = 64 << 20
	maxChildren = 1 << 20 // names in a folder: 100 MB of memory
)

// Dirent is a name in a folder.
type Dirent struct {
	Name string
	Ref  Ref
	Type uint32 // S_IFMT bits
}

// ReadDir returns the names in a folder without . and .., sorted bytewise. The
// image must have them in that order, in which kernels look for them: out of
// order, a name could be listed and not be found.
func (f *FileSystem) ReadDir(n *Inode) ([]Dirent, error) {
	entries, err := f.readDir(n)
	if err != nil {
		return nil, fmt.Errorf("reading folder %d: %w", n.Ref.number, err)
	}
	return entries, nil
}

func (f *FileSystem) readDir(n *Inode) ([]Dirent, error) {
	if n.Mode&typeMask != modeDir {
		return nil, fmt.Errorf("it has mode %#o", n.Mode)
	}
	left := n.Size - emptyDir
	if left == 0 {
		return nil, nil
	}
	if left > maxListing {
		return nil, fmt.Errorf("its names take %d bytes, more than %d", left, maxListing)
	}
	c, err := f.at(f.areas.dirs, n.dir)
	if err != nil {
		return nil, err
	}
	l := listing{f: f, c: c, left: left}
	for l.left > 0 {
		if err := l.run(); err != nil {
			if len(l.entries) > 0 {
				err = fmt.Errorf("after the name %q: %w", l.entries[len(l.entries)-1].Name, err)
			}
			return nil, err
		}
	}
	return l.entries, nil
}

// listing is a folder while it is read.
type listing struct {
	f       *FileSystem
	c       *cursor
	left    int64 // bytes
	entries []Dirent
	name    [maxName]byte
}

// take returns the next n bytes of the listing, valid until the next call.
func (l *listing) take(n int) ([]byte, error) {
	if l.left -= int64(n); l.left < 0 {
		return nil, errors.New("it goes on past its size")
	}
	return l.c.take(n)
}

// run reads a header and the names below it, whose inodes are near each other.
func (l *listing) run() error {
	b, err := l.take(12)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	count, block, number := le.Uint32(b), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
	if count >= maxRun {
		return fmt.Errorf("a header of %d names", uint64(count)+1)
	}
	if !l.f.areas.inodes.contains(block) {
		return fmt.Errorf("inodes %d bytes into a shorter table", block)
	}
	for range count + 1 {
		e, err := l.entry(block, number)
		if err != nil {
			return err
		}
		if last := len(l.entries) - 1; last >= 0 && e.Name <= l.entries[last].Name {
			return fmt.Errorf("the name %q is out of order", e.Name)
		}
		if len(l.entries) == maxChildren {
			return fmt.Errorf("more than %d names", maxChildren)
		}
		l.entries = append(l.entries, e)
	}
	return nil
}

func (l *listing) entry(block uint64, base uint32) (Dirent, error) {
	b, err := l.take(8)
	if err != nil {
		return Dirent{}, err
	}
	le := binary.LittleEndian
	offset, delta, kind, size := le.Uint16(b), int16(le.Uint16(b[2:])), le.Uint16(b[4:]), int(le.Uint16(b[6:]))+1
	number := int64(base) + int64(delta)
	e := Dirent{Type: posixType(kind), Ref: Ref{at: block<<16 | uint64(offset), number: uint32(number), kind: kind}}
	switch {
	case e.Type == 0:
		return e, fmt.Errorf("a name of type %d", kind)
	case number < 1 || number > int64(l.f.super.inodes):
		return e, fmt.Errorf("a name for inode %d of %d", number, l.f.super.inodes)
	case offset >= metadataSize:
		return e, fmt.Errorf("a name for an inode at byte %d of a metadata block", offset)
	case size > maxName:
		return e, fmt.Errorf("a name of %d bytes", size)
	}
	if l.left -= int64(size); l.left < 0 {
		return e, errors.New("it goes on past its size")
	}
	if err := l.c.fill(l.name[:size]); err != nil {
		return e, err
	}
	e.Name = string(l.name[:size])
	if e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\x00") {
		return e, fmt.Errorf("the name %q", e.Name)
	}
	return e, nil
}
