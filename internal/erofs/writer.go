package erofs

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxTarget is the longest symlink target in bytes: PATH_MAX less its NUL.
const maxTarget = 4095

// Writer writes one image. It is not for use by several goroutines. After an
// error from the content or from the device every call returns that error;
// after a refusal, which comes before anything is read, it may go on.
type Writer struct {
	dev       Device
	uuid      [16]byte
	buildSec  int64
	buildNsec uint32

	data     stream
	pending  segment
	segments []int64        // first block of each segment that has its place
	links    map[Ref]uint32 // of inodes with other than one name
	inodes   uint64
	err      error

	xattrs     []Xattr // scratch
	xattrBytes []byte  // scratch
	target     strings.Reader
}

// NewWriter returns a Writer whose image goes to dev.
func NewWriter(dev Device, o Options) *Writer {
	w := &Writer{dev: dev, uuid: o.UUID, links: make(map[Ref]uint32)}
	if !o.BuildTime.IsZero() {
		w.buildSec, w.buildNsec = o.BuildTime.Unix(), uint32(o.BuildTime.Nanosecond())
	}
	w.data = stream{dev: dev, start: BlockSize} // block 0 is written last
	return w
}

// File writes a regular file of size bytes. It reads exactly so many from r and
// looks no further; fewer are an error.
func (w *Writer) File(a Attr, size int64, r io.Reader) (Ref, error) {
	return w.content(a, typeRegular, size, r)
}

// Symlink writes a symbolic link. Its target is 1 to 4095 bytes without a NUL
// and means nothing to the Writer.
func (w *Writer) Symlink(a Attr, target string) (Ref, error) {
	switch {
	case target == "":
		return 0, errors.New("encoding a symlink: its target is empty")
	case len(target) > maxTarget:
		return 0, fmt.Errorf("encoding a symlink to %.40q…: its target has %d bytes and may have %d", target, len(target), maxTarget)
	case strings.IndexByte(target, 0) >= 0:
		return 0, fmt.Errorf("encoding a symlink to %q: its target holds a NUL", target)
	}
	w.target.Reset(target)
	return w.content(a, typeSymlink, int64(len(target)), &w.target)
}

// Special writes a character or block device, a fifo or a socket.
func (w *Writer) Special(a Attr) (Ref, error) {
	if w.err != nil {
		return 0, w.err
	}
	x := extent{layout: flatPlain}
	switch a.Mode & typeMask {
	case typeCharacter, typeBlock:
		var err error
		if x.address, err = deviceNumber(a.Major, a.Minor); err != nil {
			return 0, err
		}
	case typeFIFO, typeSocket:
	default:
		return 0, fmt.Errorf("encoding a special file of mode %#o: it is no device, fifo or socket", a.Mode)
	}
	ino, err := w.newInode(a, 0, 1)
	if err != nil {
		return 0, err
	}
	ref, _, err := w.place(&ino, x)
	return ref, err
}

// SetLinks sets the number of names of an inode that has more than one. An
// inode that could be compact holds at most 65535; Finish refuses more.
func (w *Writer) SetLinks(r Ref, n uint32) { w.links[r] = n }

// content writes an inode that has content.
func (w *Writer) content(a Attr, mode uint32, size int64, r io.Reader) (Ref, error) {
	if w.err != nil {
		return 0, w.err
	}
	if a.Mode&typeMask != mode {
		return 0, fmt.Errorf("encoding mode %#o: its type should be %#o", a.Mode, mode)
	}
	ino, err := w.newInode(a, size, 1)
	if err != nil {
		return 0, err
	}
	x, err := w.store(size, ino.head(), r)
	if err != nil {
		return 0, err
	}
	ref, inline, err := w.place(&ino, x)
	if err != nil {
		return 0, err
	}
	return ref, w.readFull(r, inline)
}

// place writes an inode into the pending segment and returns the room for its
// inline content.
func (w *Writer) place(ino *inode, x extent) (Ref, []byte, error) {
	head := ino.head()
	slot, p, ok := w.pending.reserve(head + x.inline)
	if !ok {
		if err := w.closeSegment(); err != nil {
			return 0, nil, w.fail(err)
		}
		slot, p, _ = w.pending.reserve(head + x.inline)
	}
	w.inodes++
	ino.number = uint32(w.inodes)
	ino.encode(p, x)
	copy(p[head-len(ino.xattrs):], ino.xattrs)
	return newRef(ino.attr.Mode, len(w.segments), slot), p[head:], nil
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
	if r.mode() == 0 || r.segment() >= len(w.segments) {
		return 0, fmt.Errorf("resolving inode reference %#x: this writer has not made it", uint64(r))
	}
	return uint64(w.segments[r.segment()])*slotsPerBlock + uint64(r.slot()), nil
}

// fail makes err the last word of the Writer.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}
