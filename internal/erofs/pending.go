package erofs

import (
	"io"
	"slices"
)

// rawLimit is the longest content that stays as it is, behind the inode, where
// compression would save no slot.
const rawLimit = 32

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
	single   bool  // its clusters have one block
	inline   []byte
}

// newPending returns the file of an inode, whose attributes it keeps.
func (p *press) newPending(ino inode, size int64) *pending {
	ino.xattrs = slices.Clone(ino.xattrs)
	ino.attr.Xattrs = nil
	return &pending{ref: p.w.newRef(ino.attr.Mode), ino: ino, size: size, single: p.single}
}

// special queues an inode without content.
func (p *press) special(ino inode, x extent) (Ref, error) {
	f := p.newPending(ino, 0)
	f.flat, f.first = true, x.address
	return f.ref, p.add(&task{file: f, last: true})
}

// file queues a file or symlink.
func (p *press) file(ino inode, size int64, r io.Reader) (Ref, error) {
	if err := p.w.checkRoom(size); err != nil {
		return 0, err
	}
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
	var err error
	if f.fragment, err = p.pour(end, r); err != nil {
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
