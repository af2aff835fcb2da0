package erofs

import "crypto/sha256"

// Bounds on what is remembered of attributes, in memory until Finish. What goes
// beyond is stored with its inode.
const (
	maxXattrsSeen  = 1 << 16 // different ones
	maxSharedBytes = 1 << 20 // of entries that are shared
)

// sharedXattrs are the attributes that several inodes have: a label, say. The
// first inode to have one holds it inline, since nobody knows then that there
// will be others; with the second it gets a place among those that are shared,
// which are written in Finish.
type sharedXattrs struct {
	seen map[[sha256.Size]byte]xattrID
	area []byte // entries
}

// xattrID is a shared attribute's place in units of 4 bytes, plus one; 0 for
// one that was seen only once.
type xattrID uint32

// find returns the number by which an inode refers to entry, if it is shared.
func (s *sharedXattrs) find(entry []byte) (id uint32, ok bool) {
	key := sha256.Sum256(entry)
	known, seen := s.seen[key]
	switch {
	case known > 0:
		return uint32(known) - 1, true
	case !seen:
		if s.seen == nil {
			s.seen = make(map[[sha256.Size]byte]xattrID)
		}
		if len(s.seen) < maxXattrsSeen {
			s.seen[key] = 0
		}
		return 0, false
	case len(s.area)+len(entry) > maxSharedBytes:
		return 0, false
	}
	id = uint32(len(s.area) / 4)
	s.area = append(s.area, entry...)
	s.seen[key] = xattrID(id + 1)
	return id, true
}

// writeShared writes the shared attributes and notes where they are.
func (w *Writer) writeShared() error {
	if len(w.shared.area) == 0 {
		return nil
	}
	padded := (len(w.shared.area) + BlockSize - 1) &^ (BlockSize - 1)
	area := append(w.shared.area, make([]byte, padded-len(w.shared.area))...)
	block, err := w.data.insert(area)
	if err != nil {
		return err
	}
	w.sharedAt = uint32(block)
	return nil
}
