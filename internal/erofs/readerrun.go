package erofs

import (
	"encoding/binary"
	"fmt"
)

// runKind is how the bytes of a run are stored.
type runKind uint8

const (
	runHole     runKind = iota // nowhere: they are zeros
	runPlain                   // as they are, in blocks
	runMeta                    // as they are, among metadata
	runFragment                // in the packed inode
	runShifted                 // in a cluster, from its start on
	runRotated                 // in a cluster, its last block's rest first
	runPacked                  // in a cluster, compressed
)

// run is a part of a file that is stored in one piece.
type run struct {
	start, end int64 // bytes of the file
	kind       runKind
	place      int64 // byte of the image; of the packed inode for a fragment
	// Of a cluster:
	size    int64 // bytes that it takes
	method  Algorithm
	partial bool // it holds more than the run
}

// mapping says where a file's content lies.
type mapping interface {
	// at returns the run that holds the byte off, which is one of the file.
	at(off int64) (run, error)
}

// flat is a file in one piece, whose end may lie behind its inode.
type flat struct{ body, tail run }

func (f *FileSystem) flat(n *Inode) (mapping, error) {
	m := flat{body: run{end: n.Size, kind: runPlain, place: int64(n.start) << f.super.blockBits}}
	if n.data == dataPlain || n.Size == 0 {
		return m, nil
	}
	m.body.end = (n.Size - 1) &^ (f.super.blockSize - 1)
	m.tail = run{start: m.body.end, end: n.Size, kind: runMeta, place: n.body()}
	if err := f.inOneBlock(m.tail.place, m.tail.end-m.tail.start); err != nil {
		return nil, err
	}
	return m, nil
}

// inOneBlock refuses what lies behind an inode and not in one block, where Linux
// looks for it.
func (f *FileSystem) inOneBlock(place, size int64) error {
	if place&(f.super.blockSize-1)+size > f.super.blockSize {
		return fmt.Errorf("%d bytes behind an index or inode, at %d, are not in one block", size, place)
	}
	return nil
}

func (m flat) at(off int64) (run, error) {
	if off < m.body.end {
		return m.body, nil
	}
	return m.tail, nil
}

const (
	chunkBits    = 0x1f // the logarithm of a chunk's blocks, in the format
	chunkIndexes = 0x20 // 8 bytes for each chunk instead of 4
	chunk48Bit   = 0x40

	noBlock = 1<<32 - 1 // a hole's address

	// longRun bounds how many chunks are looked at to make one run of them.
	longRun = 1 << 20
)

// chunked is a file in chunks of one size, each of which lies anywhere.
type chunked struct {
	f     *FileSystem
	size  int64
	bits  uint  // of a chunk's bytes
	index int64 // byte at which the index begins
	unit  int64 // bytes of an address in it
}

func (f *FileSystem) chunked(n *Inode) (mapping, error) {
	format := n.start & 0xffff
	if format&^(chunkBits|chunkIndexes) != 0 {
		return nil, &Unsupported{fmt.Sprintf("chunks of format %#x", format)}
	}
	m := chunked{f: f, size: n.Size, bits: f.super.blockBits + uint(format&chunkBits), unit: 4}
	if format&chunkIndexes != 0 {
		m.unit = 8
	}
	m.index = (n.body() + m.unit - 1) &^ (m.unit - 1)
	return m, nil
}

func (m chunked) at(off int64) (run, error) {
	r, err := m.chunk(off >> m.bits)
	for err == nil && r.end < m.size && r.end-r.start < longRun {
		var next run
		next, err = m.chunk(r.end >> m.bits)
		if next.kind != r.kind || r.kind == runPlain && next.place != r.place+r.end-r.start {
			break
		}
		r.end = next.end
	}
	return r, err
}

func (m chunked) chunk(i int64) (run, error) {
	var b [8]byte
	if err := m.f.metadata(b[8-m.unit:], m.index+i*m.unit); err != nil {
		return run{}, fmt.Errorf("reading the place of chunk %d: %w", i, err)
	}
	r := run{start: i << m.bits, end: min((i+1)<<m.bits, m.size)}
	block := binary.LittleEndian.Uint32(b[4:])
	if block == noBlock {
		return r, nil
	}
	if device := binary.LittleEndian.Uint16(b[2:]); device != 0 {
		return run{}, &Unsupported{"data on other devices"}
	}
	r.kind, r.place = runPlain, int64(block)<<m.f.super.blockBits
	return r, nil
}
