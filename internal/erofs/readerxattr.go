package erofs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	xattrUnit       = 4   // what counts and places of attributes are counted in
	xattrLongPrefix = 128 // of an entry's prefix number: it is one of the image's own

	// maxXattrsRead bounds the bytes of one inode's attributes, names and values:
	// more than what our writer shares and puts beside an inode. What is shared
	// could be 16 MiB.
	maxXattrsRead = 2 << 20
)

// longPrefix is a start of names that the image has given a number.
type longPrefix struct {
	index byte // of the short prefix before it
	infix string
}

// shortPrefix returns the start of names that the format has given a number.
func shortPrefix(index byte) string {
	prefixes := [...]string{1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security."}
	if int(index) < len(prefixes) {
		return prefixes[index]
	}
	return ""
}

// Xattrs returns a file's extended attributes, sorted by name, with their full
// names. One that stands twice is an error, and so is one that the filter of
// names hides: Linux would list it and not find it.
func (f *FileSystem) Xattrs(n *Inode) ([]Xattr, error) {
	list, err := f.readXattrs(n)
	if err != nil {
		return nil, fmt.Errorf("reading attributes of inode %d: %w", n.Handle.nid, err)
	}
	return list, nil
}

func (f *FileSystem) readXattrs(n *Inode) ([]Xattr, error) {
	if n.xattrSize == 0 {
		return nil, nil
	}
	if n.xattrSize == xattrHeaderSize {
		return nil, errors.New("there is a header and nothing behind it")
	}
	b := make([]byte, n.xattrSize)
	if err := f.metadata(b, n.xattrs); err != nil {
		return nil, err
	}
	s := xattrSet{f: f, hidden: binary.LittleEndian.Uint32(b)}
	shared := int(b[4])
	b = b[xattrHeaderSize:]
	if len(b) < shared*xattrUnit {
		return nil, fmt.Errorf("%d shared ones in %d bytes", shared, len(b))
	}
	for entries := b[shared*xattrUnit:]; len(entries) > 0; {
		size, err := s.add(entries)
		if err != nil {
			return nil, err
		}
		entries = entries[min(size, len(entries)):]
	}
	for i := range shared {
		at := f.super.shared + int64(binary.LittleEndian.Uint32(b[i*xattrUnit:]))*xattrUnit
		if err := s.addShared(at); err != nil {
			return nil, fmt.Errorf("the shared one at %d: %w", at, err)
		}
	}
	slices.SortFunc(s.list, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	for i, x := range s.list[1:] {
		if s.list[i].Name == x.Name {
			return nil, fmt.Errorf("%q is there twice", x.Name)
		}
	}
	return s.list, nil
}

// xattrSet collects the attributes of an inode.
type xattrSet struct {
	f      *FileSystem
	hidden uint32 // the filter: bits of names that are not there
	total  int
	list   []Xattr
}

// xattrLength returns how long the entry at the start of b is, padding left out.
func xattrLength(b []byte) int {
	return xattrEntrySize + int(b[0]) + int(binary.LittleEndian.Uint16(b[2:]))
}

func (s *xattrSet) addShared(at int64) error {
	var head [xattrEntrySize]byte
	if err := s.f.metadata(head[:], at); err != nil {
		return err
	}
	b := make([]byte, xattrLength(head[:]))
	if err := s.f.metadata(b, at); err != nil {
		return err
	}
	_, err := s.add(b)
	return err
}

// add takes the entry at the start of b and returns its length with padding.
func (s *xattrSet) add(b []byte) (int, error) {
	if len(b) < xattrEntrySize {
		return 0, fmt.Errorf("an entry in %d bytes", len(b))
	}
	size := xattrLength(b)
	if size > len(b) {
		return 0, fmt.Errorf("an entry of %d bytes in %d", size, len(b))
	}
	if s.total += size; s.total > maxXattrsRead {
		return 0, fmt.Errorf("more than %d bytes of attributes", maxXattrsRead)
	}
	index, rest := b[1], string(b[xattrEntrySize:][:b[0]])
	value := bytes.Clone(b[xattrEntrySize+len(rest) : size])
	if index&xattrLongPrefix != 0 {
		i := int(index &^ xattrLongPrefix)
		if i >= len(s.f.prefix) {
			return 0, fmt.Errorf("prefix %d, and there are %d", i, len(s.f.prefix))
		}
		index, rest = s.f.prefix[i].index, s.f.prefix[i].infix+rest
	}
	name := shortPrefix(index) + rest
	acl := index == 2 || index == 3
	if name == rest || acl != (rest == "") || len(name) > maxXattrName || bytes.IndexByte([]byte(rest), 0) >= 0 {
		return 0, fmt.Errorf("%q with prefix %d cannot be the name of one", rest, index)
	}
	if s.f.super.filter && s.hidden&filterBit(index, rest) != 0 {
		return 0, fmt.Errorf("the filter of names hides %q", name)
	}
	s.list = append(s.list, Xattr{Name: name, Value: value})
	return (size + xattrUnit - 1) &^ (xattrUnit - 1), nil
}

// readPrefixes reads the image's own prefixes, each with its length before it.
func (f *FileSystem) readPrefixes() ([]longPrefix, error) {
	read := f.metadata
	if f.pack != nil && !f.super.prefixPlain {
		read = f.packedAt
	}
	var list []longPrefix
	for at := f.super.prefixAt; len(list) < f.super.prefixes; {
		var head [2]byte
		if err := read(head[:], at); err != nil {
			return nil, err
		}
		size := int(binary.LittleEndian.Uint16(head[:]))
		if size < 1 || size > 1+maxXattrName {
			return nil, fmt.Errorf("one of %d bytes", size)
		}
		b := make([]byte, size)
		if err := read(b, at+2); err != nil {
			return nil, err
		}
		list = append(list, longPrefix{index: b[0], infix: string(b[1:])})
		at = (at + 2 + int64(size) + xattrUnit - 1) &^ (xattrUnit - 1)
	}
	return list, nil
}
