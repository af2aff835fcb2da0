// Package squashfs reads squashfs 4.0 file systems, strictly: the format of the
// kernel's Documentation/filesystems/squashfs.rst, and the checks of its
// fs/squashfs where a size or a place has only one right value. An image comes
// from anyone, so that every count is held against what the image can hold
// before anything is allocated, and what unpacks is cut off at the size it must
// have.
//
// It reads all inodes, fragments, holes, attributes, and blocks of gzip, xz
// (with the filters for x86 and 32-bit ARM), lz4 and zstd. Left out on purpose:
// lzo, lzma and xz's other filters, which are named in an [Unsupported];
// versions before 4.0; the directory index and the export table, which only
// make lookups quicker. A folder may hold itself, or one folder may lie at many
// places: whoever walks the tree bounds its depth and its size.
package squashfs

import (
	"errors"
	"fmt"
	"io"
)

// Unsupported is the error of an image that is known and not read.
type Unsupported struct {
	Feature string // what is not read, as in "compression by lzo"
}

func (u *Unsupported) Error() string { return "squashfs: " + u.Feature + " is not supported" }

// FileSystem is a squashfs image. Its methods share caches and buffers, as do
// the readers that it hands out: one goroutine at a time may use them.
type FileSystem struct {
	r     io.ReaderAt
	super superblock
	areas areas
	root  Ref
	ids   []uint32

	unpack    unpacker
	packed    []byte // a block on its way to the unpacker
	spare     []byte // a block's content, between two readers
	metadata  recent[metadataBlock]
	fragments recent[[]byte]
}

// Ref names an inode. It stays valid as long as its file system and compares
// equal for all names of one inode. The zero Ref names nothing.
type Ref struct {
	at     uint64 // block in the inode table << 16 | offset in its content
	number uint32 // which the inode must have
	kind   uint16 // basic inode type, which the inode must have
}

// Open reads the superblock and the ids of the image in the first size bytes of
// r, and checks where its tables lie. What is known and not read is an
// *[Unsupported].
func Open(r io.ReaderAt, size int64) (*FileSystem, error) {
	f := &FileSystem{
		r:         r,
		metadata:  newRecent[metadataBlock](metadataBlocksKept / 2),
		fragments: newRecent[[]byte](fragmentsKept / 2),
	}
	if err := f.open(size); err != nil {
		return nil, fmt.Errorf("opening squashfs: %w", err)
	}
	return f, nil
}

func (f *FileSystem) open(size int64) error {
	var err error
	if f.super, err = readSuperblock(f.r, size); err != nil {
		return err
	}
	if f.unpack, err = newUnpacker(f.super.compressor); err != nil {
		return err
	}
	if f.areas, err = f.readAreas(); err != nil {
		return err
	}
	if f.ids, err = f.readIDs(); err != nil {
		return fmt.Errorf("reading the user and group ids: %w", err)
	}
	// Nothing else says which number the root has, and with it a Ref to the root
	// from a folder equals this one.
	f.root = Ref{at: f.super.root, kind: typeDir}
	if f.root.number, err = f.readNumber(f.root.at); err != nil {
		return fmt.Errorf("reading the root's inode: %w", err)
	}
	_, err = f.Inode(f.root)
	return err
}

// Size returns the number of bytes that the file system itself takes. What
// mksquashfs fills the last 4 KiB up with does not count.
func (f *FileSystem) Size() int64 { return f.super.used }

// Root returns the root folder.
func (f *FileSystem) Root() Ref { return f.root }

// errTruncated is wrapped by errors about tables that end too early.
var errTruncated = errors.New("it goes on past the end of its table")

// readAt fills p from the image's own bytes.
func (f *FileSystem) readAt(p []byte, off int64) error {
	if off < 0 || off > f.super.used || int64(len(p)) > f.super.used-off {
		return fmt.Errorf("reading %d bytes at %d: the file system ends at %d", len(p), off, f.super.used)
	}
	return readFull(f.r, p, off)
}

// readFull reads all of p, whatever else r returns.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}
