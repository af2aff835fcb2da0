package squashfs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	xattrIDSize = 16
	outOfLine   = 1 << 8 // in an attribute's type: its value lies elsewhere
	xattrTypes  = outOfLine - 1

	// Linux's own limits, on an attribute and on the list of an inode's names.
	maxXattrName  = 255
	maxXattrValue = 64 << 10
	maxXattrList  = 64 << 10

	// maxXattrs bounds the values of one inode: a reference to a value costs an
	// image 20 bytes, and all may refer to the same.
	maxXattrs = 16 << 20
)

// Xattr is an extended attribute.
type Xattr struct {
	Name  string // with its prefix, as in "security.selinux"
	Value []byte
}

// Xattrs returns an inode's extended attributes, sorted by name.
func (f *FileSystem) Xattrs(n *Inode) ([]Xattr, error) {
	if n.xattr == none {
		return nil, nil
	}
	list, err := f.readXattrs(n.xattr)
	if err != nil {
		return nil, fmt.Errorf("reading the attributes of inode %d: %w", n.Ref.number, err)
	}
	slices.SortFunc(list, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	for i := range list[min(1, len(list)):] {
		if list[i].Name == list[i+1].Name {
			return nil, fmt.Errorf("reading the attributes of inode %d: %q is there twice", n.Ref.number, list[i].Name)
		}
	}
	return list, nil
}

func (f *FileSystem) readXattrs(id uint32) ([]Xattr, error) {
	b, err := f.record(&f.areas.xattrIDs, uint64(id))
	if err != nil {
		return nil, fmt.Errorf("finding set %d: %w", id, err)
	}
	ref, count := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])
	c, err := f.at(f.areas.xattrs, place{ref >> 16, uint16(ref)})
	if err != nil {
		return nil, err
	}
	var list []Xattr
	names, values := 0, 0
	for range count {
		x, err := f.readXattr(c)
		if err != nil {
			return nil, err
		}
		if names += len(x.Name) + 1; names > maxXattrList {
			return nil, fmt.Errorf("names of more than %d bytes", maxXattrList)
		}
		if values += len(x.Value); values > maxXattrs {
			return nil, fmt.Errorf("values of more than %d bytes", maxXattrs)
		}
		list = append(list, x)
	}
	return list, nil
}

func (f *FileSystem) readXattr(c *cursor) (Xattr, error) {
	var x Xattr
	b, err := c.take(4)
	if err != nil {
		return x, err
	}
	kind, size := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
	prefixes := [...]string{"user.", "trusted.", "security."}
	if kind&^(outOfLine|xattrTypes) != 0 || int(kind&xattrTypes) >= len(prefixes) {
		return x, fmt.Errorf("a name of type %#x", kind)
	}
	prefix := prefixes[kind&xattrTypes]
	if size == 0 || int(size) > maxXattrName-len(prefix) {
		return x, fmt.Errorf("a name of %d bytes after %q", size, prefix)
	}
	var name [maxXattrName]byte
	if err := c.fill(name[:size]); err != nil {
		return x, err
	}
	x.Name = prefix + string(name[:size])
	if strings.ContainsRune(x.Name, 0) {
		return x, fmt.Errorf("the name %q", x.Name)
	}
	if kind&outOfLine != 0 {
		x.Value, err = f.readFarValue(c)
	} else {
		x.Value, err = readValue(c)
	}
	if err != nil {
		return x, fmt.Errorf("reading the value of %q: %w", x.Name, err)
	}
	return x, nil
}

func readValue(c *cursor) ([]byte, error) {
	b, err := c.take(4)
	if err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(b)
	if size > maxXattrValue {
		return nil, fmt.Errorf("it takes %d bytes", size)
	}
	value := make([]byte, size)
	return value, c.fill(value)
}

// readFarValue reads a value that several sets share, by its reference.
func (f *FileSystem) readFarValue(c *cursor) ([]byte, error) {
	b, err := c.take(12)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(b) != 8 {
		return nil, errors.New("a reference is not 8 bytes")
	}
	ref := binary.LittleEndian.Uint64(b[4:])
	far, err := f.at(f.areas.xattrs, place{ref >> 16, uint16(ref)})
	if err != nil {
		return nil, err
	}
	return readValue(far)
}
