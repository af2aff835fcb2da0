package erofs

import (
	"io"
	"math"
	"slices"
)

const (
	// fragmentLimit is the longest end of a file, or whole file, that goes into
	// the packed inode.
	fragmentLimit = 64 << 10

	// rawLimit is the longest content that stays as it is, behind the inode, where
	// compression would save no slot.
	rawLimit = 32
)

// pending is a file whose inode has no place yet.
type pending struct {
	ref    Ref
	ino    inode
	size   int64
	raw    []byte // all of its content, if it stays as it is
	flat   bool   // content was stored as it is: the blocks from first on, then raw
	pieces []piece
	first  uint32 // block
	blocks int64  // of its own

	fragment int64 // where in the packed inode its last piece lies
	packed   bool  // it is the packed inode
	inline   []byte
}

// newPending returns the file of an inode, whose attributes it keeps.
func (p *press) newPending(ino inode, size int64) *pending {
	ino.xattrs = slices.Clone(ino.xattrs)
	ino.attr.Xattrs = nil
	return &pending{ref: p.w.newRef(ino.attr.Mode), ino: ino, size: size}
}

// special queues an inode without content.
func (p *press) special(ino inode, x extent) (Ref, error) {
	f := p.newPending(ino, 0)
	f.flat, f.first = true, x.address
	return f.ref, p.add(&task{file: f, last: true})
}

// file queues a file or symlink.
func (p *press) file(ino inode, size int64, r io.Reader) (Ref, error) {
	limit := int64(BlockSize) // within which nothing can be saved
	if p.fragments || p.tails {
		limit = rawLimit
	}
	f := p.newPending(ino, size)
	if size <= limit || ino.attr.Mode&typeMask == typeSymlink {
		f.flat, f.raw = true, make([]byte, size)
		if err := p.w.readFull(r, f.raw); err != nil {
			return 0, err
		}
		return f.ref, p.add(&task{file: f, last: true})
	}
	end := p.fragmentOf(size)
	if err := p.segments(f, size-end, end == 0, r); err != nil || end == 0 {
		return f.ref, err
	}
	f.fragment = p.packedSize()
	if err := p.pour(end, r); err != nil {
		return 0, err
	}
	last := &task{file: f, last: true}
	last.pieces = append(last.pieces, piece{length: uint32(end), kind: kindFragment})
	return f.ref, p.add(last)
}

// segments queues size bytes of content. final says that the file ends there.
func (p *press) segments(f *pending, size int64, final bool, r io.Reader) error {
	zeros := int64(0)
	flush := func(last bool) error {
		n := zeros
		zeros = 0
		if n == 0 {
			return nil
		}
		return p.add(&task{file: f, zeros: n, last: last})
	}
	for left := size; left > 0; {
		n := int64(p.segment)
		if left <= n+segmentExtra {
			n = left
		}
		t, err := p.task()
		if err != nil {
			return err
		}
		if err := p.fill(t, int(n), r); err != nil {
			return err
		}
		if n >= minZeros && isZero(t.in) {
			p.release(t)
			zeros += n
		} else {
			if err := flush(false); err != nil {
				return err
			}
			t.file, t.final, t.last = f, final && left == n, final && left == n
			t.whole = t.last && left == size
			p.start(t)
		}
		left -= n
	}
	return flush(final)
}

// fragmentOf returns how many bytes of a file's end go into the packed inode.
func (p *press) fragmentOf(size int64) int64 {
	end := size % int64(p.segment)
	if !p.fragments || end > fragmentLimit || p.packedSize()+end > math.MaxUint32 {
		return 0
	}
	return end
}

func (p *press) packedSize() int64 {
	if p.packed == nil {
		return 0
	}
	return p.packed.size
}

// pour adds content to the packed inode.
func (p *press) pour(size int64, r io.Reader) error {
	if p.packed == nil {
		ino, err := p.w.newInode(Attr{Mode: typeRegular, Sec: p.w.buildSec, Nsec: p.w.buildNsec}, math.MaxUint32, 1)
		if err != nil {
			return err
		}
		p.packed = p.newPending(ino, 0)
		p.packed.packed = true
	}
	for size > 0 {
		if p.pack == nil {
			t, err := p.task()
			if err != nil {
				return err
			}
			t.file, p.pack = p.packed, t
		}
		n := min(size, int64(p.segment-len(p.pack.in)))
		if err := p.fill(p.pack, int(n), r); err != nil {
			return err
		}
		size -= n
		p.packed.size += n
		if len(p.pack.in) == p.segment {
			p.start(p.pack)
			p.pack = nil
		}
	}
	return nil
}

// closePacked queues what is left of the packed inode.
func (p *press) closePacked() error {
	if p.pack != nil {
		p.pack.final = true
		p.start(p.pack)
		p.pack = nil
	}
	if p.packed == nil {
		return nil
	}
	return p.add(&task{file: p.packed, last: true})
}
