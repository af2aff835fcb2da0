package ext4

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	// A folder's names are held in memory. No folder of an extension comes near.
	maxNames = 1 << 18
	// So many names of 255 bytes need less, in blocks that are half full.
	maxFolderSize = 256 << 20
)

// Dirent is a name in a folder.
type Dirent struct {
	Name string // any bytes but '/' and NUL, at most 255
	Ref  Ref
	Type uint32 // the upper bits of Mode
}

// ReadDir lists a folder, sorted bytewise, without "." and "..". Names that stand
// twice or can't be names are errors; so is a folder reached through another
// than its "..", and one named twice: folders form a tree.
func (f *FileSystem) ReadDir(n *Inode) ([]Dirent, error) {
	l := &listing{f: f, n: n}
	if err := f.readDir(l, n); err != nil {
		return nil, fmt.Errorf("listing ext4 inode %d: %w", n.Ref.ino, err)
	}
	return l.list, nil
}

func (f *FileSystem) readDir(l *listing, n *Inode) error {
	if err := n.check(typeFolder); err != nil {
		return err
	}
	read := f.readFolder
	if n.flags&flagInlineData != 0 {
		read = f.readInlineFolder
	}
	if err := read(l, n); err != nil {
		return err
	}
	return l.finish()
}

// readFolder lists a folder that lies in blocks.
func (f *FileSystem) readFolder(l *listing, n *Inode) error {
	bs := f.super.blockSize
	switch {
	case n.Size == 0 || n.Size%bs != 0:
		return fmt.Errorf("a folder of %d bytes in blocks of %d", n.Size, bs)
	case n.Size > f.Size():
		return fmt.Errorf("a folder of %d bytes in a file system of %d", n.Size, f.Size())
	case n.Size > maxFolderSize:
		return &Unsupported{fmt.Sprintf("a folder of more than %d bytes", maxFolderSize)}
	}
	blocks, err := f.folderBlocks(n)
	if err != nil {
		return err
	}
	// Without the feature, Linux takes an indexed folder for a linear one, which
	// it is too: an index looks like room that is not in use.
	nodes := make([]bool, len(blocks))
	if n.flags&flagIndexed != 0 && f.super.compat&compatDirIndex != 0 {
		if nodes, err = f.readIndex(n, blocks); err != nil {
			return err
		}
	}
	for at, number := range blocks {
		if nodes[at] && at > 0 {
			continue
		}
		b, err := f.block(number)
		if err != nil {
			return err
		}
		if nodes[at] {
			err = l.indexRoot(b)
		} else {
			err = l.block(b, at)
		}
		if err != nil {
			return fmt.Errorf("block %d of it: %w", at, err)
		}
	}
	return nil
}

// folderBlocks returns the numbers of a folder's blocks, all of which must exist.
func (f *FileSystem) folderBlocks(n *Inode) ([]uint64, error) {
	runs, err := f.blocksOf(n)
	if err != nil {
		return nil, err
	}
	count := uint64(n.Size / f.super.blockSize)
	var blocks []uint64
	for uint64(len(blocks)) < count {
		r, err := runs.next()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case err != nil || r.logical != uint64(len(blocks)) || r.unwritten:
			return nil, fmt.Errorf("block %d of it is not there", len(blocks))
		}
		for i := range min(r.count, count-uint64(len(blocks))) {
			blocks = append(blocks, r.physical+i)
		}
	}
	return blocks, nil
}

// listing is a folder that is being read.
type listing struct {
	f    *FileSystem
	n    *Inode
	list []Dirent
}

// block reads block number at of a folder, one with names.
func (l *listing) block(b []byte, at int) error {
	if l.f.super.sums() {
		le := binary.LittleEndian
		end := len(b) - tailSize
		// The tail looks like an entry that is not in use.
		t := b[end:]
		if le.Uint32(t) != 0 || le.Uint16(t[4:]) != tailSize || le.Uint16(t[6:]) != tailMark<<8 {
			return errors.New("it has no checksum")
		}
		if b = b[:end]; sum(l.n.seed, b) != le.Uint32(t[8:]) {
			return errSum
		}
	}
	if at == 0 {
		rest, err := l.dots(b)
		if err != nil {
			return err
		}
		b = rest
	}
	return l.entries(b)
}

// indexRoot reads the root of an index, which has only the first two names.
func (l *listing) indexRoot(b []byte) error {
	rest, err := l.dots(b)
	if err == nil && len(rest) > 0 {
		err = errors.New("names in the root of the index")
	}
	return err
}

// dots checks the first two entries of a folder and returns what follows.
func (l *listing) dots(b []byte) ([]byte, error) {
	self, rest, err := l.f.parseEntry(b)
	if err != nil {
		return nil, err
	}
	if string(self.name) != "." || self.ino != l.n.Ref.ino {
		return nil, fmt.Errorf(`its first entry is %q for inode %d, not its own "."`, self.name, self.ino)
	}
	parent, rest, err := l.f.parseEntry(rest)
	if err != nil {
		return nil, err
	}
	if string(parent.name) != ".." {
		return nil, fmt.Errorf(`its second entry is %q, not ".."`, parent.name)
	}
	return rest, l.checkParent(parent.ino)
}

// checkParent wants the folder to lie where it was found. So none has two names
// in different folders, and none lies below itself.
func (l *listing) checkParent(ino uint32) error {
	if ino != l.n.Ref.parent {
		return fmt.Errorf("its parent is inode %d, but it was found in %d", ino, l.n.Ref.parent)
	}
	return nil
}

// entries adds the entries that fill b.
func (l *listing) entries(b []byte) error {
	for len(b) > 0 {
		e, rest, err := l.f.parseEntry(b)
		if err != nil {
			return err
		}
		b = rest
		if e.ino == 0 {
			continue
		}
		if len(l.list) == maxNames {
			return &Unsupported{fmt.Sprintf("a folder with more than %d names", maxNames)}
		}
		d, err := l.dirent(e)
		if err != nil {
			return err
		}
		l.list = append(l.list, d)
	}
	return nil
}

// dirent makes an entry one for callers.
func (l *listing) dirent(e entry) (Dirent, error) {
	d := Dirent{Name: string(e.name), Ref: Ref{ino: e.ino}}
	if err := checkName(d.Name); err != nil {
		return d, err
	}
	kind := e.kind
	if kind == 0 { // nobody knows before the inode is read
		raw, err := l.f.rawInode(e.ino)
		if err != nil {
			return d, fmt.Errorf("entry %q: inode %d: %w", d.Name, e.ino, err)
		}
		kind = binary.LittleEndian.Uint16(raw) & typeMask
	}
	d.Type, d.Ref.kind = uint32(kind), kind
	if kind == typeFolder {
		if e.ino == rootInode {
			return d, fmt.Errorf("entry %q leads back to the root", d.Name)
		}
		d.Ref.parent = l.n.Ref.ino
	}
	return d, nil
}

// finish sorts the names and refuses doubles.
func (l *listing) finish() error {
	slices.SortFunc(l.list, func(a, b Dirent) int { return cmp.Compare(a.Name, b.Name) })
	folders := make(map[uint32]string)
	for i, d := range l.list {
		if i > 0 && d.Name == l.list[i-1].Name {
			return fmt.Errorf("the name %q stands there twice", d.Name)
		}
		if d.Type != typeFolder {
			continue
		}
		if other, twice := folders[d.Ref.ino]; twice {
			return fmt.Errorf("%q and %q are the same folder", other, d.Name)
		}
		folders[d.Ref.ino] = d.Name
	}
	return nil
}
