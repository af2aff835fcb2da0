package erofs

import (
	"crypto/sha256"
	"io"
	"math"
)

const (
	// fragmentLimit is the longest end of a file, or whole file, that goes into
	// the packed inode. Twice as much saves half a percent more of a tree of
	// programs and small files, and makes whoever reads such an end read more.
	fragmentLimit = 64 << 10

	// maxFragmentsKnown bounds what is remembered of fragments, 80 bytes each.
	maxFragmentsKnown = 1 << 20
)

// packed is the packed inode in the making, which holds the ends of files and
// whole small ones, one behind the other: together they compress better, and no
// block is left half empty.
type packed struct {
	file  *pending // nil as long as there are no fragments
	task  *task    // what the next ones gather in
	known map[[sha256.Size]byte]int64
	buf   []byte
}

// fragmentOf returns how many bytes of a file's end go into the packed inode.
func (p *press) fragmentOf(size int64) int64 {
	end := size % int64(p.segment)
	// 32 bits is what a file that is only partly there has for the place.
	if !p.fragments || end > fragmentLimit || p.packed.size()+end > math.MaxUint32 {
		return 0
	}
	return end
}

func (c *packed) size() int64 {
	if c.file == nil {
		return 0
	}
	return c.file.size
}

// pour adds a fragment of size bytes to the packed inode, unless the same is
// there, and returns its place in it.
func (p *press) pour(size int64, r io.Reader) (int64, error) {
	c := &p.packed
	if c.file == nil {
		ino, err := p.w.newInode(Attr{Mode: typeRegular, Sec: p.w.buildSec, Nsec: p.w.buildNsec}, math.MaxUint32, 1)
		if err != nil {
			return 0, err
		}
		c.file = p.newPending(ino, 0)
		c.file.packed = true
		c.known = make(map[[sha256.Size]byte]int64)
		c.buf = make([]byte, fragmentLimit)
	}
	content := c.buf[:size]
	if err := p.w.readFull(r, content); err != nil {
		return 0, err
	}
	sum := sha256.Sum256(content)
	if at, ok := c.known[sum]; ok {
		return at, nil
	}
	at := c.file.size
	if len(c.known) < maxFragmentsKnown {
		c.known[sum] = at
	}
	c.file.size += size
	for len(content) > 0 {
		if c.task == nil {
			t, err := p.task()
			if err != nil {
				return 0, err
			}
			t.file, c.task = c.file, t
		}
		n := min(len(content), p.segment-len(c.task.in))
		c.task.in = append(c.task.in, content[:n]...)
		content = content[n:]
		if len(c.task.in) == p.segment {
			p.start(c.task)
			c.task = nil
		}
	}
	return at, nil
}

// closePacked queues what is left of the packed inode.
func (p *press) closePacked() error {
	if p.packed.task != nil {
		p.packed.task.final = true
		p.start(p.packed.task)
		p.packed.task = nil
	}
	if p.packed.file == nil {
		return nil
	}
	return p.add(&task{file: p.packed.file, last: true})
}
