package erofs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds on a folder that is read. A block may hold one name alone, or be stored
// once for many folders: neither says much about the other.
const (
	maxEntries = 4_000_000
	maxNames   = 256 << 20 // bytes of blocks of names
)

// Entry is a name in a folder.
type Entry struct {
	Name   string
	Handle Handle
	Type   uint32 // the S_IFMT bits of what it names
}

// ReadDir returns what is in a folder, sorted bytewise, without "." and "..",
// which must be there and lead to the folder and the one that it was found in.
// What is out of order is an error: names are looked up by halving, so that it
// would be there for some and not for others.
func (f *FileSystem) ReadDir(n *Inode) ([]Entry, error) {
	list, err := f.readDir(n)
	if err != nil {
		return nil, fmt.Errorf("reading the folder with inode %d: %w", n.Handle.nid, err)
	}
	return list, nil
}

func (f *FileSystem) readDir(n *Inode) ([]Entry, error) {
	if err := n.checkType(typeFolder); err != nil {
		return nil, err
	}
	if n.Size > maxNames {
		return nil, fmt.Errorf("%d bytes of names, and at most %d are read", n.Size, maxNames)
	}
	content, err := f.content(n)
	if err != nil {
		return nil, err
	}
	names := names{folder: n.Handle}
	block := make([]byte, f.super.blockSize)
	for left := n.Size; left > 0; {
		b := block[:min(left, int64(len(block)))]
		if _, err := io.ReadFull(content, b); err != nil {
			return nil, err
		}
		left -= int64(len(b))
		if err := names.read(b); err != nil {
			return nil, fmt.Errorf("its block %d: %w", (n.Size-left-1)>>f.super.blockBits, err)
		}
	}
	if !names.self || !names.above {
		return nil, errors.New(`it lacks "." or ".."`)
	}
	return names.list, nil
}

// names takes a folder's blocks one after the other.
type names struct {
	folder      Handle
	last        string
	self, above bool // "." and ".." were met
	list        []Entry
}

// read reads a block: records that each say where its name begins, then the
// names.
func (s *names) read(b []byte) error {
	if len(b) < direntSize {
		return fmt.Errorf("%d bytes hold no name", len(b))
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(b[i*direntSize+8:])) }
	first := at(0)
	if first == 0 || first%direntSize != 0 || first > len(b) {
		return fmt.Errorf("names that begin at byte %d", first)
	}
	count := first / direntSize
	all := string(b[first:]) // one allocation for all names of the block
	for i := range count {
		start, end := at(i), len(b)
		if i+1 < count {
			end = at(i + 1)
		}
		if start < first || start >= end || end > len(b) {
			return fmt.Errorf("a name from byte %d to %d", start, end)
		}
		name := all[start-first : end-first]
		if i+1 == count { // nothing follows that would end it
			if nul := strings.IndexByte(name, 0); nul >= 0 {
				if strings.Trim(name[nul:], "\x00") != "" {
					return errors.New("rubbish follows the last name")
				}
				name = name[:nul]
			}
		}
		record := b[i*direntSize:]
		if err := s.add(name, binary.LittleEndian.Uint64(record), record[10]); err != nil {
			return err
		}
	}
	return nil
}

func (s *names) add(name string, nid uint64, kind byte) error {
	types := [...]uint32{0, typeRegular, typeFolder, typeCharacter, typeBlock, typeFIFO, typeSocket, typeSymlink}
	switch {
	case name == "" || len(name) > maxName || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%q cannot be the name of a file", name)
	case name <= s.last:
		return fmt.Errorf("%q is out of order", name)
	case int(kind) >= len(types) || kind == 0:
		return fmt.Errorf("%q is of type %d, which is none", name, kind)
	case len(s.list) >= maxEntries:
		return fmt.Errorf("more than %d names", maxEntries)
	}
	s.last = name
	e := Entry{Name: name, Type: types[kind], Handle: Handle{nid: nid, kind: types[kind]}}
	switch name {
	case ".":
		s.self = true
		return s.checkOwn(e, s.folder.nid)
	case "..":
		s.above = true
		return s.checkOwn(e, s.folder.parent)
	}
	if e.Type == typeFolder {
		e.Handle.parent = s.folder.nid
	}
	s.list = append(s.list, e)
	return nil
}

// checkOwn checks "." and "..". That ".." leads to where the folder was found
// gives every folder one name, so that a walk ends.
func (s *names) checkOwn(e Entry, want uint64) error {
	if e.Type != typeFolder || e.Handle.nid != want {
		return fmt.Errorf("%q is inode %d of type %#o, and not the folder %d", e.Name, e.Handle.nid, e.Type, want)
	}
	return nil
}

// Readlink returns the target of a symbolic link: 1 to 4095 bytes, and no NUL
// among them.
func (f *FileSystem) Readlink(n *Inode) (string, error) {
	target, err := f.readlink(n)
	if err != nil {
		return "", fmt.Errorf("reading the link with inode %d: %w", n.Handle.nid, err)
	}
	return target, nil
}

func (f *FileSystem) readlink(n *Inode) (string, error) {
	if err := n.checkType(typeSymlink); err != nil {
		return "", err
	}
	if n.Size == 0 || n.Size > maxTarget {
		return "", fmt.Errorf("a target of %d bytes", n.Size)
	}
	content, err := f.content(n)
	if err != nil {
		return "", err
	}
	b := make([]byte, n.Size)
	if _, err := io.ReadFull(content, b); err != nil {
		return "", err
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return "", fmt.Errorf("a target with a NUL in it: %q", b)
	}
	return string(b), nil
}
