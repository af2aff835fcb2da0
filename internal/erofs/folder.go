package erofs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	inode      inode
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
