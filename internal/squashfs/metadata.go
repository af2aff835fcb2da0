package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	metadataSize = 8 << 10 // content of a metadata block, at most
	metadataRaw  = 1 << 15 // in its header: it is not compressed

	// metadataBlocksKept bounds the cache: 4 MiB. Inodes and names lie in about
	// the order of a walk; what a walk comes back to is never far.
	metadataBlocksKept = 512
)

// metadataBlock is an unpacked metadata block.
type metadataBlock struct {
	content []byte
	next    int64 // where the next block begins
}

// metadataAt returns the metadata block at off, which ends at end at the latest.
func (f *FileSystem) metadataAt(off, end int64) (metadataBlock, error) {
	if m, ok := f.metadata.get(off); ok { // areas don't overlap: it had the same end
		return m, nil
	}
	m, err := f.readMetadata(off, end)
	if err != nil {
		return m, fmt.Errorf("reading the metadata block at %d: %w", off, err)
	}
	f.metadata.put(off, m)
	return m, nil
}

func (f *FileSystem) readMetadata(off, end int64) (metadataBlock, error) {
	var m metadataBlock
	if end-off < 2 {
		return m, errTruncated
	}
	var h [2]byte
	if err := f.readAt(h[:], off); err != nil {
		return m, err
	}
	header := binary.LittleEndian.Uint16(h[:])
	size := int64(header &^ metadataRaw)
	switch {
	case size == 0 || size > metadataSize:
		return m, fmt.Errorf("it takes %d bytes", size)
	case size > end-off-2:
		return m, errTruncated
	}
	m.next = off + 2 + size
	if header&metadataRaw != 0 {
		m.content = make([]byte, size)
		return m, f.readAt(m.content, off+2)
	}
	var content [metadataSize]byte
	n, err := f.unpackAt(content[:], off+2, size)
	if err != nil {
		return m, err
	}
	if n == 0 {
		return m, errors.New("it is empty")
	}
	m.content = append(make([]byte, 0, n), content[:n]...)
	return m, nil
}

// unpackAt unpacks the size bytes at off into dst and returns how many it made.
func (f *FileSystem) unpackAt(dst []byte, off, size int64) (int, error) {
	if int64(len(f.packed)) < size {
		f.packed = make([]byte, max(size, metadataSize))
	}
	packed := f.packed[:size]
	if err := f.readAt(packed, off); err != nil {
		return 0, err
	}
	return guarded(f.unpack, dst, packed)
}

// cursor reads on through the metadata blocks of an area.
type cursor struct {
	f       *FileSystem
	area    area
	block   int64 // where this one begins
	content []byte
	read    int   // of content
	next    int64 // the block after this one
	scratch [maxTake]byte
}

// maxTake is the most that take gives out: the fixed part of an extended file.
const maxTake = 40

// place is a byte in an area of metadata blocks.
type place struct {
	block  uint64 // bytes from the area's start to the block
	offset uint16 // in its content
}

// at returns a cursor to p in a.
func (f *FileSystem) at(a area, p place) (*cursor, error) {
	if !a.contains(p.block) {
		return nil, errTruncated
	}
	c := &cursor{f: f, area: a, next: a.start + int64(p.block)}
	if err := c.advance(); err != nil {
		return nil, err
	}
	if int(p.offset) > len(c.content) {
		return nil, fmt.Errorf("byte %d of a metadata block of %d", p.offset, len(c.content))
	}
	c.read = int(p.offset)
	return c, nil
}

func (c *cursor) advance() error {
	m, err := c.f.metadataAt(c.next, c.area.end)
	if err != nil {
		return err
	}
	c.block, c.next, c.content, c.read = c.next, m.next, m.content, 0
	return nil
}

// place returns where the cursor is.
func (c *cursor) place() place {
	return place{uint64(c.block - c.area.start), uint16(c.read)}
}

// room is the most bytes that can still come.
func (c *cursor) room() int64 {
	return int64(len(c.content)-c.read) + c.area.capacity(c.next)
}

// fill reads all of p.
func (c *cursor) fill(p []byte) error {
	for len(p) > 0 {
		if c.read == len(c.content) {
			if err := c.advance(); err != nil {
				return err
			}
		}
		n := copy(p, c.content[c.read:])
		p, c.read = p[n:], c.read+n
	}
	return nil
}

// take returns the next n bytes, maxTake at most, valid until the next call.
func (c *cursor) take(n int) ([]byte, error) {
	if n <= len(c.content)-c.read {
		c.read += n
		return c.content[c.read-n : c.read], nil
	}
	b := c.scratch[:n]
	return b, c.fill(b)
}

// recent keeps values by place: those used lately, and at most two times limit.
type recent[V any] struct {
	limit      int
	young, old map[int64]V
}

func newRecent[V any](limit int) recent[V] {
	return recent[V]{limit: limit, young: make(map[int64]V)}
}

func (r *recent[V]) get(place int64) (V, bool) {
	v, ok := r.young[place]
	if ok {
		return v, true
	}
	if v, ok = r.old[place]; ok {
		r.put(place, v)
	}
	return v, ok
}

func (r *recent[V]) put(place int64, v V) {
	if len(r.young) >= r.limit {
		r.old, r.young = r.young, make(map[int64]V)
	}
	r.young[place] = v
}
