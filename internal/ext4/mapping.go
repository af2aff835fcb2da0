package ext4

import (
	"errors"
	"fmt"
	"io"
)

// run is a row of blocks of a file that lie in a row in the file system too.
// What lies between two runs is a hole.
type run struct {
	logical, physical, count uint64
	unwritten                bool // reserved only: reads as zeros
}

// mapping gives a file's runs one after another in ascending logical order, and
// then io.EOF.
type mapping interface {
	next() (run, error)
}

// blocksOf returns the runs of a file that has a map of blocks.
func (f *FileSystem) blocksOf(n *Inode) (mapping, error) {
	var m mapping
	if n.flags&flagExtents != 0 {
		e, err := f.extentsOf(n)
		if err != nil {
			return nil, err
		}
		m = e
	} else {
		bs := uint64(f.super.blockSize)
		p := newPointers(f, n.blockMap(), (uint64(n.Size)+bs-1)/bs)
		if p.end > p.limit() {
			return nil, fmt.Errorf("%d bytes are more than its map can hold", n.Size)
		}
		m = p
	}
	return &checkedMapping{mapping: m, super: &f.super}, nil
}

// checkedMapping holds another one to the file system's size.
type checkedMapping struct {
	mapping
	super *superblock
	total uint64 // blocks so far
	end   uint64 // of the last run
}

func (m *checkedMapping) next() (run, error) {
	r, err := m.mapping.next()
	if err != nil {
		return run{}, err
	}
	if r.count == 0 || r.logical < m.end {
		return run{}, errors.New("its blocks are not in order")
	}
	if err := m.super.checkBlocks(r.physical, r.count); err != nil {
		return run{}, err
	}
	// Without this, a small image could claim to hold a file of terabytes.
	if m.total += r.count; m.total > m.super.blocks {
		return run{}, fmt.Errorf("it has more blocks than the %d of the file system", m.super.blocks)
	}
	m.end = r.logical + r.count
	return r, nil
}

// content reads a file by its runs.
type content struct {
	f         *FileSystem
	ino       uint32
	runs      mapping
	pos, size int64
	run       run
	noMore    bool // no run follows
	err       error
}

func (c *content) Read(p []byte) (int, error) {
	if c.err == nil && c.pos >= c.size {
		c.err = io.EOF
	}
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	n, err := c.read(p[:min(int64(len(p)), c.size-c.pos)])
	c.pos += int64(n)
	if err != nil {
		c.err = fmt.Errorf("reading content of ext4 inode %d: %w", c.ino, err)
	}
	return n, c.err
}

// read fills the beginning of p with what lies at c.pos in one piece.
func (c *content) read(p []byte) (int, error) {
	bs := c.f.super.blockSize
	for !c.noMore && c.pos >= int64(c.run.logical+c.run.count)*bs {
		r, err := c.runs.next()
		switch {
		case errors.Is(err, io.EOF):
			c.noMore = true
		case err != nil:
			return 0, err
		}
		c.run = r
	}
	if c.noMore {
		clear(p)
		return len(p), nil
	}
	start, end := int64(c.run.logical)*bs, int64(c.run.logical+c.run.count)*bs
	if c.pos < start {
		p = p[:min(int64(len(p)), start-c.pos)]
		clear(p)
		return len(p), nil
	}
	p = p[:min(int64(len(p)), end-c.pos)]
	if c.run.unwritten {
		clear(p)
		return len(p), nil
	}
	if err := c.f.readAt(p, int64(c.run.physical)*bs+c.pos-start); err != nil {
		return 0, err
	}
	return len(p), nil
}
