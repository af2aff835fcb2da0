package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds of Linux on a cluster, in bytes.
const (
	maxPacked  = 1 << 20         // as it is stored
	maxCluster = 12 << 20        // as it is read
	mapHeader  = 8               // bytes before an index
	fullIndex  = 8               // bytes of one in a full index, and between header and index
	wholeBit   = uint64(1) << 63 // in the header: all of the file is a fragment
)

// What an index is like, in its header.
const (
	adviseTwoBytes  = 0x01 // compact indexes of 2 bytes are there
	adviseBig1      = 0x02 // clusters of the first algorithm may have many blocks
	adviseBig2      = 0x04 // those of the second, and plain ones
	adviseInline    = 0x08 // the last cluster lies behind the index
	adviseRotated   = 0x10
	adviseFragment  = 0x20 // the last cluster lies in the packed inode
	adviseKnown     = 0x3f
	adviseTail      = adviseInline | adviseFragment
	adviseBig       = adviseBig1 | adviseBig2
	indexPartial    = 1 << 15
	indexBlocks     = 1 << 11 // in the first distance: it counts blocks
	indexTypes      = 3
	compactBits     = 12 // of a distance or offset, at least
	compactPack     = 8  // bytes of a pack of two
	compactPack2    = 32 // bytes of a pack of sixteen
	compactPerPack  = 2
	compactPerPack2 = 16
)

// Types of logical clusters.
const (
	clusterPlain = iota // a run begins in it that was stored as it is
	clusterHead1        // or compressed
	clusterTail         // no run begins in it
	clusterHead2        // as head1, with the other algorithm
)

// logical is a block of a file, as its index says.
type logical struct {
	kind    uint8
	offset  int64 // at which a run begins in it
	block   int64 // of the run's cluster
	partial bool
	back    int64 // how far it is to the block that the run begins in, or less
	counts  bool  // it says how many blocks the run's cluster has
	blocks  int64
}

// clustered is a file in clusters.
type clustered struct {
	f      *FileSystem
	size   int64
	count  int64 // of logical clusters
	full   bool
	advise uint16
	method [2]Algorithm
	index  int64 // byte at which the index begins

	// Of a compact index: how many come before those of 2 bytes, and how many
	// those are.
	lead, short int64
	pack        [compactPerPack2]logical // read last
	packAt      int64                    // byte where it begins; 0 for none

	tail run // the last one, if it lies elsewhere
}

func (f *FileSystem) clustered(n *Inode) (mapping, error) {
	if n.Size == 0 {
		return flat{}, nil
	}
	at := (n.body() + mapHeader - 1) &^ (mapHeader - 1)
	var h [mapHeader]byte
	if err := f.metadata(h[:], at); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if whole := le.Uint64(h[:]); whole&wholeBit != 0 {
		return f.wholeFragment(n, whole&^wholeBit)
	}
	m := &clustered{
		f: f, size: n.Size, count: (n.Size-1)>>f.super.blockBits + 1, full: n.data == dataFull,
		advise: le.Uint16(h[4:]), method: [2]Algorithm{Algorithm(h[6] & 15), Algorithm(h[6] >> 4)},
		index: at + mapHeader,
	}
	if err := m.check(h[7]); err != nil {
		return nil, err
	}
	if m.full {
		m.index += fullIndex
	} else {
		m.layOut()
	}
	if m.advise&adviseTail == 0 {
		return m, nil
	}
	return m, m.findTail(le.Uint32(h[:]))
}

// wholeFragment maps a file that is a fragment from its start to its end.
func (f *FileSystem) wholeFragment(n *Inode, off uint64) (mapping, error) {
	if f.pack == nil || n == f.pack || off > uint64(f.pack.Size) || n.Size > f.pack.Size-int64(off) {
		return nil, fmt.Errorf("%d bytes at %d of fragments, which are not there", n.Size, off)
	}
	return flat{body: run{end: n.Size, kind: runFragment, place: int64(off)}}, nil
}

// check refuses headers that Linux doesn't take, and those that are not read.
func (m *clustered) check(bits byte) error {
	s := &m.f.super
	switch {
	case m.full && m.advise&adviseTwoBytes != 0:
		return &Unsupported{"an index of extents"}
	case m.advise&^adviseKnown != 0:
		return &Unsupported{fmt.Sprintf("an index with features %#x", m.advise&^adviseKnown)}
	case bits != 0:
		return &Unsupported{fmt.Sprintf("logical clusters of format %#x", bits)}
	case m.advise&adviseTail == adviseTail:
		return errors.New("its end lies in two places")
	case m.advise&adviseBig != 0 && s.needs&needsConfigurations == 0:
		return errors.New("it has big clusters, which the file system has not")
	case !m.full && m.advise&adviseBig != 0 && m.advise&adviseBig != adviseBig:
		return errors.New("only one of its algorithms has big clusters")
	case !m.full && m.advise&adviseTwoBytes != 0 && s.blockBits > compactBits:
		return fmt.Errorf("indexes of 2 bytes with blocks of %d bytes", s.blockSize)
	case !m.full && s.blockBits > 14:
		return fmt.Errorf("indexes of 4 bytes with blocks of %d bytes", s.blockSize)
	}
	for _, method := range m.method {
		if method >= algorithms {
			return &Unsupported{fmt.Sprintf("compression by method %d", method)}
		}
	}
	return nil
}

// layOut finds where in a compact index those of 2 bytes are: as many sixteens
// as there are after the first boundary of 32 bytes.
func (m *clustered) layOut() {
	m.lead, m.short = m.count, 0
	if m.advise&adviseTwoBytes == 0 {
		return
	}
	if lead := (compactPack2 - m.index%compactPack2) % compactPack2 / 4; lead < m.count {
		m.lead, m.short = lead, (m.count-lead)&^(compactPerPack2-1)
	}
}

// findTail finds where the last run begins, which lies elsewhere. Fragments have
// any length.
func (m *clustered) findTail(word uint32) error {
	i, head, err := m.find(m.size-1, m.size)
	if err != nil {
		return err
	}
	m.tail = run{start: i<<m.f.super.blockBits + head.offset, partial: head.partial}
	if m.tail.end, _, err = m.end(i, m.tail.start, m.size); err != nil {
		return err
	}
	if m.tail.end != m.size {
		return fmt.Errorf("its last block says that its run begins in block %d, and another does after that", i)
	}
	if m.advise&adviseFragment != 0 {
		off := uint64(word)
		if m.full {
			off |= uint64(head.block) << 32
		}
		pack := m.f.pack
		if pack == nil || off > uint64(pack.Size) || m.size-m.tail.start > pack.Size-int64(off) {
			return fmt.Errorf("%d bytes at %d of fragments, which are not there", m.size-m.tail.start, off)
		}
		m.tail.kind, m.tail.place = runFragment, int64(off)
		return nil
	}
	m.tail.size, m.tail.place = int64(word>>16), m.indexEnd()
	if m.tail.size == 0 {
		return errors.New("its end lies behind the index and has no bytes")
	}
	if m.size-m.tail.start > maxCluster {
		return errTooLong
	}
	if err := m.f.inOneBlock(m.tail.place, m.tail.size); err != nil {
		return err
	}
	return m.setMethod(&m.tail, head.kind)
}
