package ext4

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	entryHead = 8  // bytes of an entry before its name
	minEntry  = 12 // with a name of one byte, and padding
	tailSize  = 12 // of a block's checksum, which looks like an entry
	tailMark  = 0xde
)

// entry is an entry of a folder as it is on disk.
type entry struct {
	ino  uint32 // 0 for room that is not in use
	kind uint16 // upper bits of a mode; 0 if not known
	name []byte
}

// parseEntry reads the entry at the beginning of b, which entries fill to its
// end, and returns what follows.
func (f *FileSystem) parseEntry(b []byte) (e entry, rest []byte, err error) {
	if len(b) < minEntry {
		return e, nil, fmt.Errorf("%d bytes are left for an entry", len(b))
	}
	le := binary.LittleEndian
	e.ino = le.Uint32(b)
	length, nameLength := int(le.Uint16(b[4:])), int(b[6])
	if length < minEntry || length%4 != 0 || length > len(b) || entryHead+nameLength > length {
		return e, nil, fmt.Errorf("an entry of %d bytes with a name of %d, in %d", length, nameLength, len(b))
	}
	e.name, rest = b[entryHead:][:nameLength], b[length:]
	if e.ino == 0 {
		return e, rest, nil
	}
	if e.ino > f.super.inodes {
		return e, nil, fmt.Errorf("entry %q names inode %d of %d", e.name, e.ino, f.super.inodes)
	}
	if e.kind, err = f.entryKind(b[7]); err != nil {
		return e, nil, fmt.Errorf("entry %q: %w", e.name, err)
	}
	return e, rest, nil
}

// entryKind turns an entry's own numbering of types into that of modes.
func (f *FileSystem) entryKind(code byte) (uint16, error) {
	kinds := [...]uint16{0, typeRegular, typeFolder, typeChar, typeBlock, typeFIFO, typeSocket, typeLink}
	switch {
	case f.super.incompat&incompatFileType == 0 && code != 0:
		return 0, fmt.Errorf("it has a type, %d, in a file system without", code)
	case int(code) >= len(kinds):
		return 0, fmt.Errorf("its type is %d", code)
	}
	return kinds[code], nil
}

// checkName refuses what Linux can't show as a name.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q cannot be a name", name)
	}
	return nil
}
