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
	kernel    Version
	used      features
	rootSlot  int

	data     stream
	pending  segment
	segments []int64        // first block of each segment that has its place
	places   []place        // of inodes, by the number in their Ref
	links    map[Ref]uint32 // of inodes with other than one name
	inodes   uint64
	err      error

	press *press // nil if nothing is compressed

	shared   sharedXattrs
	sharedAt uint32 // their first block

	// Scratch.
	xattrs               []Xattr
	xattrBytes, xattrOut []byte
	xattrEnds            []int
	target               strings.Reader
}

// NewWriter returns a Writer whose image goes to dev.
func NewWriter(dev Device, o Options) *Writer {
	w := &Writer{dev: dev, uuid: o.UUID, links: make(map[Ref]uint32), kernel: DefaultKernel(), rootSlot: firstSlot}
	if !o.BuildTime.IsZero() {
		w.buildSec, w.buildNsec = o.BuildTime.Unix(), uint32(o.BuildTime.Nanosecond())
	}
	if o.Kernel != (Version{}) {
		w.kernel = o.Kernel
	}
	w.data = stream{dev: dev, start: BlockSize} // block 0 is written last
	if o.Codec != nil {
		w.rootSlot++ // the codec's record comes first
		w.press = newPress(w, o)
	}
	return w
}

// may tells whether the oldest kernel that is to mount the image knows f.
func (w *Writer) may(f feature) bool { return f.since().Compare(w.kernel) <= 0 }

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
	if w.press != nil {
		return w.press.special(ino, x)
	}
	ref := w.newRef(a.Mode)
	_, err = w.place(ref, &ino, x)
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
	if w.press != nil {
		return w.press.file(ino, size, r)
	}
	x, err := w.store(size, ino.head(), r)
	if err != nil {
		return 0, err
	}
	ref := w.newRef(mode)
	inline, err := w.place(ref, &ino, x)
	if err != nil {
		return 0, err
	}
	if x.layout == chunkBased {
		x.putChunks(inline, ino.head())
		return ref, nil
	}
	return ref, w.readFull(r, inline)
}

// fail makes err the last word of the Writer.
func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}
