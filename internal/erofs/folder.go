package erofs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	maxName    = 255
	direntSize = 12
)

// folder is a Dir on its way into the image.
type folder struct {
	dir        *Dir
	parent     int    // index of the folder it lies in; the root is its own
	name       string // in that folder
	subfolders uint32
	blocks     int64  // before the last one
	last       int    // bytes used in the last block
	number     uint64 // its inode number, once it has a place
}

// size is i_size: folders fill whole blocks but the last.
func (f *folder) size() int64 { return f.blocks*BlockSize + int64(f.last) }

// path names the folder with index i in errors.
func path(folders []folder, i int) string {
	var parts []string
	for ; i > 0; i = folders[i].parent {
		parts = append(parts, folders[i].name)
	}
	slices.Reverse(parts)
	return "/" + strings.Join(parts, "/")
}

// collect lists root and all folders below it, parents first, checks their
// entries and finds out how much room these take.
func collect(root *Dir) ([]folder, error) {
	root.index = 0
	folders := []folder{{dir: root}}
	for i := 0; i < len(folders); i++ {
		dir := folders[i].dir
		if dir.Attr.Mode&typeMask != typeFolder {
			return nil, fmt.Errorf("placing folder %q: its mode %#o is not a folder's", path(folders, i), dir.Attr.Mode)
		}
		slices.SortFunc(dir.Entries, func(a, b Dirent) int { return cmp.Compare(a.Name, b.Name) })
		for j, e := range dir.Entries {
			err := e.check()
			switch {
			case err != nil:
			case j > 0 && dir.Entries[j-1].Name == e.Name:
				err = errors.New("the name is taken")
			case e.Dir != nil && e.Dir.index < len(folders) && folders[e.Dir.index].dir == e.Dir:
				err = errors.New("the folder has another name already")
			}
			if err != nil {
				return nil, fmt.Errorf("placing %q in folder %q: %w", e.Name, path(folders, i), err)
			}
			if e.Dir != nil {
				e.Dir.index = len(folders)
				folders[i].subfolders++
				folders = append(folders, folder{dir: e.Dir, parent: i, name: e.Name})
			}
		}
		folders[i].measure()
	}
	return folders, nil
}

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

// names yields a folder's names in the order of the format, which is that of
// their bytes with "." and ".." among them: "+x" and "-x" come before.
func (f *folder) names(yield func(e *Dirent) bool) {
	dots := [...]Dirent{{Name: ".", Type: typeFolder}, {Name: "..", Type: typeFolder}}
	next := 0
	for i := range f.dir.Entries {
		e := &f.dir.Entries[i]
		for next < len(dots) && dots[next].Name < e.Name {
			if !yield(&dots[next]) {
				return
			}
			next++
		}
		if !yield(e) {
			return
		}
	}
	for next < len(dots) {
		if !yield(&dots[next]) {
			return
		}
		next++
	}
}

// measure finds out how many blocks the names fill.
func (f *folder) measure() {
	for e := range f.names {
		need := direntSize + len(e.Name)
		if f.last+need > BlockSize {
			f.blocks++
			f.last = 0
		}
		f.last += need
	}
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
