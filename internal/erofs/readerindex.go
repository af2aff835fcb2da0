package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

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
