package erofs

import (
	"fmt"
	"slices"
)

// rootRoom is what block 0 leaves for the root's inode, its attributes and its
// inline names, in bytes.
func (w *Writer) rootRoom() int { return BlockSize - w.rootSlot*slotSize }

// writeFolders writes all folders, the root's inode into first, the image's
// first block. Segments with the inodes come first, blocks with names after
// them: lengths follow from the names alone, so every inode number is known
// before the first record is written.
func (w *Writer) writeFolders(folders []folder, first []byte) error {
	bounds := w.placeFolders(folders)
	inodes := inodeArea{dev: w.dev, bounds: bounds, open: -1}
	w.data.start = bounds[len(bounds)-1] * BlockSize
	var records []record
	var err error
	for i := range folders {
		f := &folders[i]
		ino, x := &f.inode, w.planFolder(f, i)
		p := first[w.rootSlot*slotSize:]
		if i > 0 {
			if p, err = inodes.at(f.number); err != nil {
				return err
			}
		}
		x.address = uint32(w.data.end() / BlockSize)
		inline := w.encodeInode(p, ino, x)[:x.inline]
		if records, err = w.writeNames(folders, i, inline, records); err != nil {
			return fmt.Errorf("writing folder %q: %w", path(folders, i), err)
		}
	}
	if err := inodes.flush(); err != nil {
		return err
	}
	return w.data.flush()
}

// planFolder returns how the names of folder i, whose inode is known, are stored.
func (w *Writer) planFolder(f *folder, i int) extent {
	room := BlockSize
	if i == 0 {
		room = w.rootRoom()
	}
	x := extent{layout: flatPlain, size: f.size()}
	if f.inode.head()+f.last <= room {
		x.layout, x.inline = flatInline, f.last
	}
	return x
}

// encodeFolders makes the folders' inodes, all but their place.
func (w *Writer) encodeFolders(folders []folder) error {
	for i := range folders {
		f := &folders[i]
		ino, err := w.newInode(f.dir.Attr, f.size(), 2+f.subfolders)
		if err != nil {
			return fmt.Errorf("placing folder %q: %w", path(folders, i), err)
		}
		if room := w.rootRoom(); i == 0 && ino.head() > room {
			return fmt.Errorf("placing the root: its attributes take %d bytes and may take %d", len(ino.xattrs), room-ino.head()+len(ino.xattrs))
		}
		ino.xattrs = slices.Clone(ino.xattrs) // the next folder's will take their place
		f.inode = ino
	}
	return nil
}

// placeFolders gives every folder its inode number. It returns the first block
// of each segment that they fill and the block after the last one.
func (w *Writer) placeFolders(folders []folder) (bounds []int64) {
	start := w.data.end() / BlockSize
	bounds = append(bounds, start)
	var p packer
	for i := range folders {
		f := &folders[i]
		ino, x := &f.inode, w.planFolder(f, i)
		if i == 0 {
			f.number = uint64(w.rootSlot)
			continue
		}
		slot, ok := p.place(ino.head() + x.inline)
		if !ok {
			start += int64(p.blocks)
			bounds = append(bounds, start)
			p = packer{}
			slot, _ = p.place(ino.head() + x.inline)
		}
		f.number = uint64(start)*slotsPerBlock + uint64(slot)
	}
	return append(bounds, start+int64(p.blocks))
}

// writeNames writes the records of folder i, the last block's to inline unless
// that is empty. It returns records, emptied, for the next call.
func (w *Writer) writeNames(folders []folder, i int, inline []byte, records []record) ([]record, error) {
	f := &folders[i]
	used := 0
	emit := func() error {
		space, err := w.data.space()
		if err != nil {
			return err
		}
		encodeRecords(space[:BlockSize], records)
		w.data.take(BlockSize)
		records, used = records[:0], 0
		return nil
	}
	for e := range f.names {
		need := direntSize + len(e.Name)
		if used+need > BlockSize {
			if err := emit(); err != nil {
				return nil, err
			}
		}
		used += need
		number, err := w.resolve(folders, f, e)
		if err != nil {
			return nil, fmt.Errorf("naming %q: %w", e.Name, err)
		}
		records = append(records, record{e.Name, number, fileType(e.Type)})
	}
	if len(inline) == 0 {
		err := emit()
		return records, err
	}
	encodeRecords(inline, records)
	return records[:0], nil
}

// resolve returns the inode number of what e names in f.
func (w *Writer) resolve(folders []folder, f *folder, e *Dirent) (uint64, error) {
	switch {
	case e.Name == ".":
		return f.number, nil
	case e.Name == "..":
		return folders[f.parent].number, nil
	case e.Dir != nil:
		return folders[e.Dir.index].number, nil
	}
	return w.number(e.Ref)
}

// inodeArea writes the folders' inodes, whose places ascend segment by segment.
type inodeArea struct {
	dev    Device
	bounds []int64 // first block of each segment, and the block after the last
	open   int     // the segment that buf holds
	buf    []byte
}

// at returns the segment's bytes from the inode with this number on.
func (a *inodeArea) at(number uint64) ([]byte, error) {
	if block := int64(number / slotsPerBlock); a.buf == nil || block >= a.bounds[a.open+1] {
		if err := a.flush(); err != nil {
			return nil, err
		}
		a.open++
		a.buf = make([]byte, (a.bounds[a.open+1]-a.bounds[a.open])*BlockSize)
	}
	return a.buf[int64(number)*slotSize-a.bounds[a.open]*BlockSize:], nil
}

// flush passes on the open segment.
func (a *inodeArea) flush() error {
	if a.buf == nil {
		return nil
	}
	buf := a.buf
	a.buf = nil
	return writeCopy(a.dev, buf, a.bounds[a.open]*BlockSize)
}
