package ext4

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	xattrMagic     = 0xea020000
	xattrHead      = 16 // bytes of an entry before its name
	xattrBlockHead = 32

	// Prefixes of names have numbers; data in an inode is an attribute too.
	prefixSystem = 7
	dataName     = "data"
)

// Xattr is an extended attribute.
type Xattr struct {
	Name  string // with its prefix, such as "security.selinux"
	Value []byte // as Linux gives it to programs
}

// Xattrs returns a file's extended attributes, sorted by name. Access control
// lists are turned into the form that system calls have them in. One that stands
// twice is an error, as Linux shows one or the other.
func (f *FileSystem) Xattrs(n *Inode) ([]Xattr, error) {
	list, err := f.xattrs(n)
	if err != nil {
		return nil, fmt.Errorf("reading attributes of ext4 inode %d: %w", n.Ref.ino, err)
	}
	return list, nil
}

func (f *FileSystem) xattrs(n *Inode) ([]Xattr, error) {
	if len(n.raw) == 0 {
		return nil, n.check(0)
	}
	entries, err := f.xattrsInInode(n)
	if err != nil {
		return nil, err
	}
	if n.xattrBlock != 0 {
		more, err := f.xattrsInBlock(n.xattrBlock)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", n.xattrBlock, err)
		}
		entries = append(entries, more...)
	}
	var list []Xattr
	for _, e := range entries {
		if e.isData() && n.flags&flagInlineData != 0 {
			continue
		}
		x, err := e.xattr()
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	for i := range list {
		if i > 0 && list[i].Name == list[i-1].Name {
			return nil, fmt.Errorf("%q stands there twice", list[i].Name)
		}
	}
	return list, nil
}

// xattrEntry is an attribute as it is on disk.
type xattrEntry struct {
	prefix byte
	name   string // without its prefix
	value  []byte // within the inode or block
}

func (e *xattrEntry) isData() bool { return e.prefix == prefixSystem && e.name == dataName }

// xattrsInInode returns the attributes behind an inode's fields.
func (f *FileSystem) xattrsInInode(n *Inode) ([]xattrEntry, error) {
	if n.extraEnd == 0 || n.extraEnd+4 > int64(len(n.raw)) {
		return nil, nil
	}
	room := n.raw[n.extraEnd:]
	if binary.LittleEndian.Uint32(room) != xattrMagic {
		return nil, nil
	}
	return parseXattrs(room[4:], 0)
}

// xattrsInBlock returns the attributes in a block of their own, which inodes
// with equal attributes share.
func (f *FileSystem) xattrsInBlock(number uint64) ([]xattrEntry, error) {
	b, err := f.block(number)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if got := le.Uint32(b); got != xattrMagic {
		return nil, fmt.Errorf("it begins with %#08x, not %#08x", got, uint32(xattrMagic))
	}
	if blocks := le.Uint32(b[8:]); blocks != 1 {
		return nil, fmt.Errorf("attributes in %d blocks", blocks)
	}
	if f.super.sums() {
		c := sum(f.super.seed, le.AppendUint64(nil, number))
		c = sum(sum(sum(c, b[:0x10]), make([]byte, 4)), b[0x14:])
		if c != le.Uint32(b[0x10:]) {
			return nil, errSum
		}
	}
	return parseXattrs(b, xattrBlockHead)
}

// parseXattrs reads the entries from byte at of b on, whose values are at the
// offsets in b that they say, behind all names.
func parseXattrs(b []byte, at int) ([]xattrEntry, error) {
	le := binary.LittleEndian
	var entries []xattrEntry
	var places [][2]int
	for {
		if at+4 > len(b) {
			return nil, errors.New("the list of attributes has no end")
		}
		if le.Uint32(b[at:]) == 0 {
			break
		}
		if at+xattrHead > len(b) || at+xattrHead+int(b[at]) > len(b) {
			return nil, errors.New("an attribute's name does not fit")
		}
		e := xattrEntry{prefix: b[at+1], name: string(b[at+xattrHead:][:b[at]])}
		if le.Uint32(b[at+4:]) != 0 {
			return nil, &Unsupported{"attributes that have inodes of their own"}
		}
		offset, size := int(le.Uint16(b[at+2:])), le.Uint32(b[at+8:])
		if offset > len(b) || uint64(size) > uint64(len(b)-offset) {
			return nil, fmt.Errorf("attribute %q: %d bytes at byte %d of %d", e.name, size, offset, len(b))
		}
		e.value = b[offset:][:size]
		entries = append(entries, e)
		places = append(places, [2]int{offset, int(size)})
		at = (at + xattrHead + int(b[at]) + 3) &^ 3
	}
	for i, p := range places {
		if p[1] > 0 && p[0] < at+4 {
			return nil, fmt.Errorf("attribute %q: its value overlaps the names", entries[i].name)
		}
	}
	return entries, nil
}

// xattr turns an entry into what Linux shows.
func (e *xattrEntry) xattr() (Xattr, error) {
	switch e.prefix {
	case 1, 4, 6:
		prefix := map[byte]string{1: "user.", 4: "trusted.", 6: "security."}[e.prefix]
		if e.name == "" || strings.Contains(e.name, "\x00") {
			return Xattr{}, fmt.Errorf("%q cannot be a name", prefix+e.name)
		}
		return Xattr{Name: prefix + e.name, Value: slices.Clone(e.value)}, nil
	case 2, 3:
		name := map[byte]string{2: "system.posix_acl_access", 3: "system.posix_acl_default"}[e.prefix]
		if e.name != "" {
			return Xattr{}, fmt.Errorf("%q cannot be a name", name+e.name)
		}
		value, err := accessList(e.value)
		if err != nil {
			return Xattr{}, fmt.Errorf("%q: %w", name, err)
		}
		return Xattr{Name: name, Value: value}, nil
	}
	return Xattr{}, &Unsupported{fmt.Sprintf("attributes whose prefix has the number %d", e.prefix)}
}
