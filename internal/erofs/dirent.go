package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	maxName    = 255
	direntSize = 12
)

// check refuses what no folder can hold.
func (e Dirent) check() error {
	switch {
	case e.Name == "":
		return errors.New("the name is empty")
	case len(e.Name) > maxName:
		return fmt.Errorf("the name has %d bytes and may have %d", len(e.Name), maxName)
	case e.Name == "." || e.Name == "..":
		return errors.New("the name is the folder's own")
	case strings.ContainsAny(e.Name, "/\x00"):
		return errors.New("the name holds a slash or a NUL")
	case e.Dir != nil && e.Type != typeFolder:
		return fmt.Errorf("type %#o is not a folder's", e.Type)
	case e.Dir == nil && (e.Ref.mode() == 0 || e.Ref.mode() != e.Type):
		return fmt.Errorf("type %#o is not that of the inode, %#o", e.Type, e.Ref.mode())
	}
	return nil
}

// record is a name with its inode number.
type record struct {
	name   string
	number uint64
	kind   byte
}

// encodeRecords fills the start of p, which lies in one block: all records,
// then all names, then zeros.
func encodeRecords(p []byte, records []record) {
	at := len(records) * direntSize
	for i, r := range records {
		d := p[i*direntSize:]
		binary.LittleEndian.PutUint64(d, r.number)
		binary.LittleEndian.PutUint16(d[8:], uint16(at))
		d[10], d[11] = r.kind, 0
		at += copy(p[at:], r.name)
	}
	clear(p[at:])
}

// fileType is the format's number for the type bits of a mode.
func fileType(mode uint32) byte {
	switch mode & typeMask {
	case typeRegular:
		return 1
	case typeFolder:
		return 2
	case typeCharacter:
		return 3
	case typeBlock:
		return 4
	case typeFIFO:
		return 5
	case typeSocket:
		return 6
	case typeSymlink:
		return 7
	}
	return 0
}
