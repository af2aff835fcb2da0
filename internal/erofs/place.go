package erofs

import "fmt"

// A Ref is made of an inode's type and its number in the order of arrival.
const refTypeBits = 60

func (r Ref) mode() uint32 { return uint32(r>>refTypeBits) << 12 }

func (r Ref) serial() uint64 { return uint64(r & (1<<refTypeBits - 1)) }

// place is where an inode lies: its segment, whose own place may not be known
// yet, and its slot in that. The zero place is none.
type place uint64

const slotBits = 16 // segmentBlocks * slotsPerBlock, and one

func newPlace(segment, slot int) place { return place(segment<<slotBits | slot + 1) }

func (p place) segment() int { return int(p >> slotBits) }

func (p place) slot() int { return int(p&(1<<slotBits-1)) - 1 }

// newRef returns the Ref of an inode of this type, which has yet to be placed.
func (w *Writer) newRef(mode uint32) Ref {
	w.places = append(w.places, 0)
	return Ref(mode&typeMask>>12)<<refTypeBits | Ref(len(w.places)-1)
}

// place writes an inode into the pending segment and returns the room for what
// follows it.
func (w *Writer) place(ref Ref, ino *inode, x extent) ([]byte, error) {
	size := ino.head() + x.inline
	slot, p, ok := w.pending.reserve(size)
	if !ok {
		if err := w.closeSegment(); err != nil {
			return nil, w.fail(err)
		}
		slot, p, _ = w.pending.reserve(size)
	}
	w.places[ref.serial()] = newPlace(len(w.segments), slot)
	return w.encodeInode(p, ino, x), nil
}

// encodeInode writes an inode to the start of p and returns the rest.
func (w *Writer) encodeInode(p []byte, ino *inode, x extent) []byte {
	w.inodes++
	ino.number = uint32(w.inodes)
	ino.encode(p, x)
	head := ino.head()
	copy(p[head-len(ino.xattrs):], ino.xattrs)
	return p[head:]
}

// closeSegment gives the pending segment its place at the end of the image.
func (w *Writer) closeSegment() error {
	if w.pending.blocks == 0 {
		return nil
	}
	block, err := w.data.insert(w.pending.content())
	if err != nil {
		return err
	}
	w.segments = append(w.segments, block)
	return nil
}

// number returns r's inode number, which exists once its segment has its place.
func (w *Writer) number(r Ref) (uint64, error) {
	if r.mode() != 0 && r.serial() < uint64(len(w.places)) {
		if at := w.places[r.serial()]; at != 0 && at.segment() < len(w.segments) {
			return uint64(w.segments[at.segment()])*slotsPerBlock + uint64(at.slot()), nil
		}
	}
	return 0, fmt.Errorf("resolving inode reference %#x: this writer has not made it", uint64(r))
}
