// Package cpio writes the archives that the kernel unpacks into its first root
// file system: the "new ASCII" format ("newc", magic 070701), as
// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel
// describes it and GNU cpio writes it.
//
// The same entries give the same bytes: inodes are numbered by the caller,
// device numbers of the archive's own are 0, and nothing comes from a clock.
//
// The format has 32 bits for everything, so a file of 4 GiB or more, and a time
// before 1970 or after 2106, cannot be held; it has no place for extended
// attributes either. Left out on purpose: the older formats, checksums
// (070702), and sparse files. [Reader] is there for tests; it reads what
// Writer writes, and archives of others that begin with an entry.
package cpio

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"inlay/internal/hint"
)

// The types of files in Header.Mode, as Linux numbers them on every machine.
const (
	TypeMask  = 0o170000
	Fifo      = 0o010000
	Char      = 0o020000
	Folder    = 0o040000
	Block     = 0o060000
	Regular   = 0o100000
	Symlink   = 0o120000
	Socket    = 0o140000
	permMask  = 0o7777
	knownMask = TypeMask | permMask
)

const (
	magic      = "070701"
	headerSize = 110
	align      = 4
	// blockSize is what GNU cpio fills the end of an archive up to.
	blockSize = 512
	// maxName is the kernel's PATH_MAX: it skips an entry with a longer name, or
	// a longer target of a symbolic link, without a word.
	maxName = 4096
	trailer = "TRAILER!!!"
	// MaxSize is the largest file that an archive holds, in bytes.
	MaxSize = math.MaxUint32
)

// Header says what an entry is. The target of a symbolic link is its content.
type Header struct {
	Name         string // without a leading slash; "." is the root
	Mode         uint32 // type and permissions
	UID, GID     uint32
	MTime        int64  // seconds since 1970
	Size         int64  // of the content that follows, in bytes
	Inode        uint32 // the same for all names of a file; never 0
	Links        uint32 // names of the file; 2 or more for a folder by custom
	Major, Minor uint32 // of a device
}

// check refuses what the format, or the kernel, cannot take.
func (h *Header) check() error {
	switch {
	case h.Name == "" || len(h.Name)+1 > maxName:
		return fmt.Errorf("a name of %d bytes is not possible in a cpio archive", len(h.Name))
	case strings.IndexByte(h.Name, 0) >= 0:
		return errors.New("the name has a NUL byte in it")
	case h.Name == trailer:
		return hint.Wrap(errors.New("this name ends a cpio archive"), "rename the file")
	case h.Mode&^knownMask != 0:
		return fmt.Errorf("the mode %o is no file's", h.Mode)
	case h.Inode == 0:
		return errors.New("the inode number is 0")
	case h.Size < 0 || h.Size > MaxSize:
		return hint.Wrap(fmt.Errorf("%d bytes are more than a cpio archive holds in one file, which is 4 GiB less a byte", h.Size),
			"leave the file out of the initrd: an extension carries files of any size")
	case h.Size > 0 && h.Mode&TypeMask != Regular && h.Mode&TypeMask != Symlink:
		return errors.New("only a regular file or a symbolic link has content")
	case h.Mode&TypeMask == Symlink && (h.Size == 0 || h.Size+1 > maxName):
		return fmt.Errorf("a symbolic link cannot have a target of %d bytes", h.Size)
	}
	return nil
}

// Writer writes an archive.
type Writer struct {
	w    io.Writer
	at   int64 // bytes written
	left int64 // of the entry's content
	err  error
}

// NewWriter writes an archive to w. What w gets are headers and content in
// turn, so it should be buffered.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Header begins an entry. The content of the one before must be complete.
// Times outside of what the format holds become the nearest that it does.
func (w *Writer) Header(h Header) error {
	if err := h.check(); err != nil {
		return fmt.Errorf("archiving %q: %w", h.Name, err)
	}
	return w.begin(h)
}

func (w *Writer) begin(h Header) error {
	if w.left > 0 {
		return fmt.Errorf("archiving %q: the content of the entry before misses %d bytes", h.Name, w.left)
	}
	if err := w.pad(align); err != nil {
		return err
	}
	mtime := min(max(h.MTime, 0), math.MaxUint32)
	header := make([]byte, 0, headerSize+len(h.Name)+align)
	header = append(header, magic...)
	for _, field := range []uint32{
		h.Inode, h.Mode, h.UID, h.GID, h.Links, uint32(mtime), uint32(h.Size),
		0, 0, // the device that the file was on
		h.Major, h.Minor, uint32(len(h.Name) + 1),
		0, // a checksum in the other format
	} {
		header = fmt.Appendf(header, "%08X", field)
	}
	header = append(append(header, h.Name...), 0)
	if err := w.write(header); err != nil {
		return err
	}
	if err := w.pad(align); err != nil {
		return err
	}
	w.left = h.Size
	return nil
}

// Write writes content of the entry.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, fmt.Errorf("archiving: %d bytes of content are too many", int64(len(p))-w.left)
	}
	if err := w.write(p); err != nil {
		return 0, err
	}
	w.left -= int64(len(p))
	return len(p), nil
}

// Flush ends the current entry: what has been written is then a whole number of
// entries, to which others, or the end, may be added anywhere else.
func (w *Writer) Flush() error {
	if w.left > 0 {
		return fmt.Errorf("archiving: the content of the last entry misses %d bytes", w.left)
	}
	return w.pad(align)
}

// Close writes the end of the archive; it does not close what is below.
func (w *Writer) Close() error {
	if err := w.begin(Header{Name: trailer, Links: 1}); err != nil {
		return err
	}
	return w.pad(blockSize)
}

func (w *Writer) pad(to int64) error {
	return w.write(make([]byte, (to-w.at%to)%to))
}

// write remembers a failure: what comes after it would be misplaced.
func (w *Writer) write(p []byte) error {
	if w.err == nil {
		var n int
		n, w.err = w.w.Write(p)
		w.at += int64(n)
	}
	return w.err
}
