package erofs

import "fmt"

// rootRoom is what block 0 leaves for the root's inode, its attributes and its
// inline names, in bytes.
const rootRoom = BlockSize - rootSlot*slotSize

// writeFolders writes all folders, the root's inode into first, the image's
// first block. Segments with the inodes come first, blocks with names after
// them: lengths follow from the names alone, so every inode number is known
// before the first record is written.
func (w *Writer) writeFolders(folders []folder, first []byte) error {
	bounds, err := w.placeFolders(folders)
	if err != nil {
		return err
	}
	inodes := inodeArea{dev: w.dev, bounds: bounds, open: -1}
	w.data.start = bounds[len(bounds)-1] * BlockSize
	var records []record
	for i := range folders {
		f := &folders[i]
		ino, x, err := w.planFolder(f, i)
		if err != nil {
			return err
		}
		p := first[rootSlot*slotSize:]
		if i > 0 {
			if p, err = inodes.at(f.number); err != nil {
				return err
			}
		}
		w.inodes++
		ino.number = uint32(w.inodes)
		x.address = uint32(w.data.end() / BlockSize)
		ino.encode(p, x)
		head := ino.head()
		copy(p[head-len(ino.xattrs):], ino.xattrs)
		if records, err = w.writeNames(folders, i, p[head:head+x.inline], records); err != nil {
			return fmt.Errorf("writing folder %q: %w", path(folders, i), err)
		}
	}
	if err := inodes.flush(); err != nil {
		return err
	}
	return w.data.flush()
}

// planFolder returns the folder's inode and how its names are stored. It is
// asked twice for each, which is cheaper than to keep all encoded attributes.
func (w *Writer) planFolder(f *folder, i int) (inode, extent, error) {
	ino, err := w.newInode(f.dir.Attr, f.size(), 2+f.subfolders)
	if err != nil {
		return inode{}, extent{}, err
	}
	room := BlockSize
	if i == 0 {
		room = rootRoom
	}
	x := extent{layout: flatPlain, size: f.size()}
	if ino.head()+f.last <= room {
		x.layout, x.inline = flatInline, f.last
	}
	return ino, x, nil
}

// placeFolders gives every folder its inode number. It returns the first block
// of each segment that they fill and the block after the last one.
func (w *Writer) placeFolders(folders []folder) (bounds []int64, err error) {
	start := w.data.end() / BlockSize
	bounds = append(bounds, start)
	var p packer
	for i := range folders {
		f := &folders[i]
		ino, x, err := w.planFolder(f, i)
		if err != nil {
			return nil, fmt.Errorf("placing folder %q: %w", path(folders, i), err)
		}
		if i == 0 {
			if ino.head() > rootRoom {
				return nil, fmt.Errorf("placing the root: its attributes take %d bytes and may take %d", len(ino.xattrs), rootRoom-ino.head()+len(ino.xattrs))
			}
			f.number = rootSlot
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
	return append(bounds, start+int64(p.blocks)), nil
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
