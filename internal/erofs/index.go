package erofs

import "encoding/binary"

// A logical cluster is a block of content. An index has an entry for each: the
// head of what begins in it, or how far it is to that.
const (
	typeBits     = 12                // of an entry's value, below its type
	maxDistance  = indexBlocks - 1   // what an entry can say
	countedStart = 1                 // the entry behind a head, which holds the number of blocks
	entriesShort = compactPerPack2   // in a pack of 32 bytes
	entriesLong  = compactPerPack    // in a pack of 8 bytes
	addressSize  = 4                 // of a pack's first block, at its end
	wholeFile    = uint64(1) << 63   // in a header: all of the file is a fragment
	bitsShort    = (32 - 4) * 8 / 16 // of an entry
	bitsLong     = (8 - 4) * 8 / 2
)

// entry is a logical cluster as an index has it.
type entry struct {
	kind   uint8
	offset uint16 // of a head
	block  uint32 // of a head
	back   uint16 // to the head, at most maxDistance
	ahead  uint16 // to the next one, likewise
	count  int16  // blocks of the cluster, in the entry behind its head; -1 elsewhere
	blocks uint32 // that the entry adds to where the next cluster lies
}

// entries yields a file's entries.
func (f *pending) entries(yield func(entry) bool) {
	at := int64(0)
	for i := range f.pieces {
		c := &f.pieces[i]
		each := f.clusterEntries
		if c.kind == kindPlain {
			each = f.plainEntries
		}
		if !each(c, at, yield) {
			return
		}
		at += int64(c.length)
	}
}

// plainEntries yields those of content that is stored as it is: each is a head.
func (f *pending) plainEntries(c *piece, at int64, yield func(entry) bool) bool {
	end := at + int64(c.length)
	for block := c.block; at < end; block++ {
		offset := at % BlockSize
		if !yield(entry{kind: clusterPlain, offset: uint16(offset), block: block, count: -1, blocks: 1}) {
			return false
		}
		at += BlockSize - offset
	}
	return true
}

// clusterEntries yields those of a cluster. The last block of a file that ends
// within it has an entry that tells where.
func (f *pending) clusterEntries(c *piece, at int64, yield func(entry) bool) bool {
	end := at + int64(c.length)
	whole := end/BlockSize - at/BlockSize // entries but for that of an end
	head := entry{kind: clusterHead1, offset: uint16(at % BlockSize), block: c.block, count: -1}
	if c.kind == kindCompressed && (whole <= countedStart || f.single) {
		head.blocks = 1
	}
	if !yield(head) {
		return false
	}
	for i := int64(1); i < whole; i++ {
		e := entry{
			kind: clusterTail, count: -1,
			back: uint16(min(i, maxDistance)), ahead: uint16(min(whole-i, maxDistance)),
		}
		if i == countedStart && !f.single {
			// One that lies elsewhere has none, but a count of none is an error.
			e.count, e.blocks = int16(max(c.blocks, 1)), c.blocks
		}
		if !yield(e) {
			return false
		}
	}
	if end == f.size && end%BlockSize != 0 && whole > 0 {
		return yield(entry{kind: clusterPlain, offset: uint16(end % BlockSize), count: -1})
	}
	return true
}

// indexStart is where the header of an index begins, behind an inode whose fixed
// part and attributes take head bytes.
func indexStart(head int) int { return (head + mapHeader - 1) &^ (mapHeader - 1) }

// packs tells how many entries of a compact index come before those in packs of
// 32 bytes, which are aligned to that, and how many are in these.
func (f *pending) packs() (lead, short int64) {
	count := blocksOf(f.size)
	start := indexStart(f.ino.head()) + mapHeader
	lead = int64(-start & (compactPack2 - 1) / (compactPack / entriesLong))
	if lead < count {
		short = (count - lead) &^ (entriesShort - 1)
	}
	return lead, short
}

// indexSize returns how many bytes an index takes behind the attributes.
func (f *pending) indexSize(l layout) int {
	size := indexStart(f.ino.head()) - f.ino.head() + mapHeader
	count := blocksOf(f.size)
	switch {
	case l == compressedFull && f.whole():
		return size
	case l == compressedFull:
		return size + fullIndex + int(count)*fullIndex
	}
	_, short := f.packs()
	long := (count - short + 1) / entriesLong * compactPack
	return size + int(short/entriesShort*compactPack2+long)
}

// encodeIndex writes header and index to b, which begins behind the attributes
// and holds zeros.
func (f *pending) encodeIndex(b []byte, l layout, a Algorithm) {
	le := binary.LittleEndian
	b = b[indexStart(f.ino.head())-f.ino.head():]
	if l == compressedFull && f.whole() {
		le.PutUint64(b, wholeFile|uint64(f.fragment))
		return
	}
	var advise uint16
	if !f.single {
		advise |= adviseBig1
	}
	if l == compressedCompact {
		advise |= advise<<1 | adviseTwoBytes // adviseBig2 goes with adviseBig1
	}
	switch {
	case f.pieces[len(f.pieces)-1].kind == kindFragment:
		advise |= adviseFragment
		le.PutUint32(b, uint32(f.fragment))
	case f.inline != nil:
		advise |= adviseInline
		le.PutUint16(b[2:], uint16(len(f.inline)))
	}
	le.PutUint16(b[4:], advise)
	b[6] = byte(a)
	b = b[mapHeader:]
	if l == compressedFull {
		f.encodeFull(b[fullIndex:])
		return
	}
	f.encodeCompact(b)
}

// encodeFull writes entries of 8 bytes.
func (f *pending) encodeFull(b []byte) {
	le := binary.LittleEndian
	for e := range f.entries {
		le.PutUint16(b, uint16(e.kind))
		switch {
		case e.kind != clusterTail:
			le.PutUint16(b[2:], e.offset)
			le.PutUint32(b[4:], e.block)
		case e.count >= 0:
			le.PutUint16(b[4:], indexBlocks|uint16(e.count))
			le.PutUint16(b[6:], e.ahead)
		default:
			le.PutUint16(b[4:], e.back)
			le.PutUint16(b[6:], e.ahead)
		}
		b = b[fullIndex:]
	}
}

// encodeCompact writes entries in packs, which tell where the first cluster
// lies that is counted in them; all of a file's are one behind the other. Before
// clusters had sizes, it was the block before that.
func (f *pending) encodeCompact(b []byte) {
	lead, short := f.packs()
	next := f.first
	if f.single {
		next--
	}
	var pack [entriesShort]entry
	n, done := 0, int64(0)
	for e := range f.entries {
		pack[n] = e
		n++
		if n == entriesShort && done >= lead && done < lead+short {
			b = encodePack(b, pack[:n], compactPack2, bitsShort, &next)
			done, n = done+entriesShort, 0
		} else if n == entriesLong && (done < lead || done >= lead+short) {
			b = encodePack(b, pack[:n], compactPack, bitsLong, &next)
			done, n = done+entriesLong, 0
		}
	}
	if n > 0 {
		encodePack(b, pack[:n], compactPack, bitsLong, &next)
	}
}

// encodePack writes a pack of size bytes and returns what is behind it. width is
// an entry's number of bits.
func encodePack(b []byte, pack []entry, size, width int, next *uint32) []byte {
	first := *next
	for i, e := range pack {
		value := uint32(e.kind) << typeBits
		switch {
		case e.kind != clusterTail:
			value |= uint32(e.offset)
		case e.count >= 0:
			value |= indexBlocks | uint32(e.count)
		case (i+1)*width == (size-addressSize)*8:
			value |= uint32(e.ahead) // the last one's back is known from its neighbour
		default:
			value |= uint32(e.back)
		}
		at := i * width
		for value <<= at % 8; value != 0; value >>= 8 {
			b[at/8] |= byte(value)
			at += 8
		}
		*next += e.blocks
	}
	binary.LittleEndian.PutUint32(b[size-addressSize:], first)
	return b[size:]
}
