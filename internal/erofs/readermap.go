package erofs

import "fmt"

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
