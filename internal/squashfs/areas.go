package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// area is a run of the image's bytes.
type area struct{ start, end int64 }

func (a area) contains(off uint64) bool { return off < uint64(a.end-a.start) }

// capacity is the most bytes that the metadata blocks from off to the area's
// end can hold: a block takes three bytes at least.
func (a area) capacity(off int64) int64 {
	return (a.end-off)/3*metadataSize + metadataSize
}

// table is records in metadata blocks, and an index that says where each block lies.
type table struct {
	index   int64 // place of the index
	blocks  area  // what its entries point into
	records uint64
	size    int64 // bytes of a record, a divisor of metadataSize
}

// areas are the parts of an image in their order, which has no gaps from the
// inodes on: what one of them is too long, another lacks.
type areas struct {
	data, inodes, dirs area
	fragments, ids     table
	xattrIDs           table // none if the image has no attributes
	xattrs             area  // names and values
}

// readAreas places all parts from the end to the start, as the kernel does when
// it mounts.
func (f *FileSystem) readAreas() (areas, error) {
	var a areas
	s := &f.super
	end := s.used
	var err error
	if s.xattrStart != noTable {
		if end, err = f.placeXattrs(&a, end); err != nil {
			return a, fmt.Errorf("placing the attributes: %w", err)
		}
	}
	if a.ids, err = f.placeTable(s.idStart, end, uint64(s.idCount), 4); err != nil {
		return a, fmt.Errorf("placing the user and group ids: %w", err)
	}
	end = a.ids.blocks.start
	if s.exportStart != noTable {
		export, err := f.placeTable(s.exportStart, end, uint64(s.inodes), 8)
		if err != nil {
			return a, fmt.Errorf("placing the export table: %w", err)
		}
		end = export.blocks.start
	}
	if s.fragments > 0 {
		if a.fragments, err = f.placeTable(s.fragmentStart, end, uint64(s.fragments), fragmentSize); err != nil {
			return a, fmt.Errorf("placing the fragments: %w", err)
		}
		end = a.fragments.blocks.start
	}
	data := int64(superSize)
	if s.options {
		if data, err = f.readOptions(); err != nil {
			return a, fmt.Errorf("reading the compressor's options: %w", err)
		}
	}
	if s.inodeStart < uint64(data) || s.inodeStart >= s.dirStart || s.dirStart > uint64(end) {
		return a, fmt.Errorf("inodes at %d and folders at %d are not in order between %d and %d", s.inodeStart, s.dirStart, data, end)
	}
	a.data = area{data, int64(s.inodeStart)}
	a.inodes = area{int64(s.inodeStart), int64(s.dirStart)}
	a.dirs = area{int64(s.dirStart), end}
	// 20 bytes are the smallest inode.
	if int64(s.inodes) > a.inodes.capacity(a.inodes.start)/20 {
		return a, fmt.Errorf("%d inodes in a table of %d bytes", s.inodes, s.dirStart-s.inodeStart)
	}
	return a, nil
}

// placeTable checks the table whose index starts at start and ends, exactly, at end.
func (f *FileSystem) placeTable(start uint64, end int64, records uint64, size int64) (table, error) {
	blocks := (records*uint64(size) + metadataSize - 1) / metadataSize // < 2^64: 32 bits by 16
	if start < superSize || start > uint64(end) || blocks*8 != uint64(end)-start {
		return table{}, fmt.Errorf("an index of %d blocks does not lie between %d and %d", blocks, start, end)
	}
	var first [8]byte
	if err := f.readAt(first[:], int64(start)); err != nil {
		return table{}, err
	}
	block := binary.LittleEndian.Uint64(first[:])
	if block < superSize || block >= start {
		return table{}, fmt.Errorf("its first block lies at %d and its index at %d", block, start)
	}
	return table{index: int64(start), blocks: area{int64(block), int64(start)}, records: records, size: size}, nil
}

// placeXattrs places the table of attributes, which has a header between its
// blocks and its index, and returns where the names and values begin.
func (f *FileSystem) placeXattrs(a *areas, end int64) (int64, error) {
	const headerSize = 16
	start := f.super.xattrStart
	if start < superSize || start > uint64(end)-headerSize {
		return 0, fmt.Errorf("a header at %d", start)
	}
	var h [headerSize]byte
	if err := f.readAt(h[:], int64(start)); err != nil {
		return 0, err
	}
	names, count := binary.LittleEndian.Uint64(h[:]), binary.LittleEndian.Uint32(h[8:])
	if count == 0 {
		return 0, errors.New("a table of none")
	}
	var err error
	if a.xattrIDs, err = f.placeTable(start+headerSize, end, uint64(count), xattrIDSize); err != nil {
		return 0, err
	}
	a.xattrIDs.blocks.end = int64(start)
	if names < superSize || names >= uint64(a.xattrIDs.blocks.start) || a.xattrIDs.blocks.start >= int64(start) {
		return 0, fmt.Errorf("names at %d, sets at %d, a header at %d", names, a.xattrIDs.blocks.start, start)
	}
	a.xattrs = area{int64(names), a.xattrIDs.blocks.start}
	return int64(names), nil
}

// record returns record n of t, valid until the next call.
func (f *FileSystem) record(t *table, n uint64) ([]byte, error) {
	if n >= t.records {
		return nil, fmt.Errorf("number %d of %d", n, t.records)
	}
	off := n * uint64(t.size)
	var entry [8]byte
	if err := f.readAt(entry[:], t.index+int64(off/metadataSize*8)); err != nil {
		return nil, err
	}
	// A block before the table wraps around, to far behind it.
	block := binary.LittleEndian.Uint64(entry[:]) - uint64(t.blocks.start)
	c, err := f.at(t.blocks, place{block, uint16(off % metadataSize)})
	if err != nil {
		return nil, err
	}
	return c.take(int(t.size))
}

// readIDs returns the table of user and group ids: 256 KiB at most.
func (f *FileSystem) readIDs() ([]uint32, error) {
	ids := make([]uint32, f.super.idCount)
	for i := range ids {
		b, err := f.record(&f.areas.ids, uint64(i))
		if err != nil {
			return nil, err
		}
		ids[i] = binary.LittleEndian.Uint32(b)
	}
	return ids, nil
}
