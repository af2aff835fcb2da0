package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// at finds the run that holds the byte off: back to where it begins, and on to
// where the next one does. Who reads on from run to run meets each block of the
// file twice at most.
func (m *clustered) at(off int64) (run, error) {
	if m.advise&adviseTail != 0 && off >= m.tail.start {
		return m.tail, nil
	}
	i, c, err := m.find(off, maxCluster)
	if err != nil {
		return run{}, err
	}
	r, err := m.run(i, c)
	if err == nil && off >= r.end {
		err = fmt.Errorf("block %d of it says that its run begins in block %d, and another does after that", off>>m.f.super.blockBits, i)
	}
	return r, err
}

// find returns the block in which the run begins that holds the byte off, no
// more than limit bytes before it.
func (m *clustered) find(off, limit int64) (int64, logical, error) {
	i := off >> m.f.super.blockBits
	c, err := m.cluster(i)
	if err != nil || c.kind != clusterTail && i<<m.f.super.blockBits+c.offset <= off {
		return i, c, err
	}
	back := int64(1)
	if c.kind == clusterTail {
		back = c.back
	}
	for from := i; ; {
		if back <= 0 || back > i {
			return 0, c, fmt.Errorf("block %d of it says that its run begins %d blocks before", i, back)
		}
		if i -= back; (from-i-1)<<m.f.super.blockBits > limit {
			return 0, c, errTooLong
		}
		if c, err = m.cluster(i); err != nil || c.kind != clusterTail {
			return i, c, err
		}
		back = c.back
	}
}

var errTooLong = fmt.Errorf("a cluster with more than %d bytes", maxCluster)

// run returns the run that begins in block i, which c describes.
func (m *clustered) run(i int64, c logical) (run, error) {
	bits := m.f.super.blockBits
	r := run{start: i<<bits + c.offset, place: c.block << bits, size: 1 << bits, partial: c.partial}
	var second logical
	var err error
	if r.end, second, err = m.end(i, r.start, maxCluster); err != nil {
		return run{}, err
	}
	switch big := m.big(c.kind); {
	case second.counts && big:
		if r.size = second.blocks << bits; r.size == 0 || r.size > maxPacked {
			return run{}, fmt.Errorf("block %d of it has a cluster that takes %d bytes", i, r.size)
		}
	case second.counts, big && second.kind == clusterTail && c.kind != clusterPlain:
		return run{}, fmt.Errorf("the size of the cluster of block %d of it is not where it must be", i)
	}
	return r, m.setMethod(&r, c.kind)
}

// end finds where the run ends that begins in block i, at start, and returns what
// the index says of the block after that one: a head, if there is none. Each
// block of the run must lead back to where it begins, and none past that.
func (m *clustered) end(i, start, limit int64) (int64, logical, error) {
	second, end := logical{kind: clusterPlain}, m.size
	for next := i + 1; next < m.count; next++ {
		at := next << m.f.super.blockBits
		if at-start > limit {
			return 0, second, errTooLong
		}
		c, err := m.cluster(next)
		if err != nil {
			return 0, second, err
		}
		if c.kind != clusterTail {
			end = min(at+c.offset, m.size)
			break
		}
		if c.back <= 0 || c.back > next-i {
			return 0, second, fmt.Errorf("block %d of it says that its run begins %d blocks before, and that is %d", next, c.back, next-i)
		}
		switch {
		case next == i+1:
			second = c
		case c.counts:
			return 0, second, fmt.Errorf("block %d of it counts the blocks of a cluster that begins %d blocks before", next, next-i)
		}
	}
	if end-start > limit {
		return 0, second, errTooLong
	}
	return end, second, nil
}

// big says whether clusters of this kind may have more than one block.
func (m *clustered) big(kind uint8) bool {
	if kind == clusterHead1 {
		return m.advise&adviseBig1 != 0
	}
	return m.advise&adviseBig2 != 0
}

// setMethod says how a run of this kind was stored.
func (m *clustered) setMethod(r *run, kind uint8) error {
	switch kind {
	case clusterPlain:
		r.kind = runShifted
		if m.advise&adviseRotated != 0 {
			r.kind = runRotated
		}
		if r.end-r.start > r.size {
			return fmt.Errorf("%d bytes in a cluster of %d, as they are", r.end-r.start, r.size)
		}
		return nil
	case clusterHead1:
		r.method = m.method[0]
	default:
		r.method = m.method[1]
	}
	r.kind = runPacked
	if m.f.super.methods&(1<<r.method) == 0 {
		return fmt.Errorf("it is compressed by %s, which the file system has not", r.method)
	}
	return nil
}

// cluster returns what the index says of block i.
func (m *clustered) cluster(i int64) (logical, error) {
	var c logical
	var err error
	if m.full {
		c, err = m.fullCluster(i)
	} else {
		c, err = m.compactCluster(i)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("reading the index at block %d of it: %w", i, err)
	case c.kind != clusterTail && c.offset >= m.f.super.blockSize:
		err = fmt.Errorf("in block %d of it a run begins at byte %d", i, c.offset)
	case i == 0 && (c.kind == clusterTail || c.offset != 0):
		err = errors.New("no run begins at its start")
	case c.counts && m.advise&adviseBig == 0:
		err = fmt.Errorf("block %d of it counts the blocks of a cluster, which have one each", i)
	}
	return c, err
}

// fullCluster reads a full index.
func (m *clustered) fullCluster(i int64) (logical, error) {
	var b [fullIndex]byte
	if err := m.f.metadata(b[:], m.index+i*fullIndex); err != nil {
		return logical{}, err
	}
	le := binary.LittleEndian
	advise := le.Uint16(b[:])
	if advise&^(indexTypes|indexPartial) != 0 {
		return logical{}, &Unsupported{fmt.Sprintf("an index of format %#x", advise)}
	}
	c := logical{kind: uint8(advise & indexTypes)}
	if c.kind == clusterTail {
		c.setBack(int64(le.Uint16(b[4:])))
		return c, nil
	}
	c.offset, c.block, c.partial = int64(le.Uint16(b[2:])), int64(le.Uint32(b[4:])), advise&indexPartial != 0
	return c, nil
}

// setBack takes the distance to the block that a run begins in. In the block
// after that one, it is the number of the cluster's blocks instead: 0 for what
// lies elsewhere.
func (c *logical) setBack(distance int64) {
	c.back = distance
	if distance&indexBlocks != 0 {
		c.back, c.counts, c.blocks = 1, true, distance&^indexBlocks
	}
}

// compactCluster reads a compact index, whose packs hold one address for all.
func (m *clustered) compactCluster(i int64) (logical, error) {
	first, at, count, size := i&^(compactPerPack-1), m.index, int64(compactPerPack), compactPack
	switch long := m.lead + m.short; {
	case i < m.lead:
		at += first * 4
	case i < long:
		first = m.lead + (i-m.lead)&^(compactPerPack2-1)
		at += m.lead*4 + (first-m.lead)*2
		count, size = compactPerPack2, compactPack2
	default:
		first = long + (i-long)&^(compactPerPack-1)
		at += m.lead*4 + m.short*2 + (first-long)*4
	}
	if at != m.packAt {
		var b [compactPack2]byte
		m.packAt = 0
		if err := m.f.metadata(b[:size], at); err != nil {
			return logical{}, err
		}
		if err := m.readPack(b[:size], int(count), int(min(count, m.count-first))); err != nil {
			return logical{}, err
		}
		m.packAt = at
	}
	return m.pack[i-first], nil
}

// readPack reads a pack of so many clusters, of which the last ones may lie
// after the file's end: bits for each, then the address at which the clusters
// begin that the pack has first. Each counts from those before it, so that a
// distance which leads elsewhere would give one cluster two addresses: Linux
// goes by the distances.
func (m *clustered) readPack(b []byte, count, used int) error {
	low := max(m.f.super.blockBits, compactBits)
	width := uint(len(b)-4) * 8 / uint(count)
	block := int64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	big := m.advise&adviseBig != 0
	if !big {
		block++
	}
	head := -1 // of the run that goes on, in this pack
	for j := range used {
		v := binary.LittleEndian.Uint32(b[uint(j)*width/8:]) >> (uint(j) * width % 8)
		value := int64(v & (1<<low - 1))
		c := logical{kind: uint8(v >> low & indexTypes)}
		if c.kind != clusterTail {
			c.offset, c.block = value, block
			head = j
			block++
			m.pack[j] = c
			continue
		}
		c.setBack(value)
		switch {
		case c.counts:
			if head != j-1 || !big {
				return fmt.Errorf("a size of %d blocks in place %d of a pack", c.blocks, j)
			}
			block += c.blocks
			if head >= 0 {
				block-- // it was taken for one of one block
			}
		case j == count-1: // it says how far the next run is instead
			c.back = 1
			if j-1 != head {
				c.back = m.pack[j-1].back + 1
			}
		case head >= 0 && c.back != int64(j-head), head < 0 && c.back <= int64(j), big && c.back < 2:
			return fmt.Errorf("a distance of %d in place %d of a pack", c.back, j)
		}
		m.pack[j] = c
	}
	return nil
}

// indexEnd is the byte after the index, whole packs of it.
func (m *clustered) indexEnd() int64 {
	if m.full {
		return m.index + m.count*fullIndex
	}
	rest := m.count - m.lead - m.short
	end := m.index + m.lead*4 + m.short*2 + rest*4
	return (end + compactPack - 1) &^ (compactPack - 1)
}
