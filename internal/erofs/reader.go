package erofs

import (
	"errors"
	"fmt"
	"io"
)

// Unsupported is the error of an image that is known and not read.
type Unsupported struct {
	Feature string // what is not read, as in "48-bit block numbers"
}

func (u *Unsupported) Error() string { return "erofs: " + u.Feature + " is not supported" }

// FileSystem is an EROFS image that is being read, strictly: an image comes from
// anyone. It reads what Linux reads, refuses what two readers might take for two
// things, and holds every count and size against the image or against a bound of
// its own before anything is allocated. What a file takes to read is its own
// size; memory is a few megabytes, whatever the image says, and the names of a
// folder.
//
// It reads blocks of 512 bytes to 64 KiB; content in whole blocks, behind inodes
// and in chunks with holes; clusters that LZ4 (with and without padding), LZMA,
// DEFLATE and Zstandard compressed, of any size the kernel takes, with full and
// compact indexes, behind their index, deduplicated or in the packed inode;
// attributes beside the inode and shared, with long prefixes and the filter of
// names. It is [Unsupported] to have other devices, 48-bit block numbers and what
// came with them (extents, a metadata inode), logical clusters other than a
// block, or larger blocks of names.
//
// Left out on purpose: how far it is from one cluster's head to the next one's,
// which an index also says and only read-ahead believes; what is said in fields
// that Linux ignores. The methods share caches and buffers, as do the readers
// that are handed out: one goroutine at a time may use them.
type FileSystem struct {
	r      io.ReaderAt
	super  imageSuper
	blocks recent[int64, []byte] // of metadata
	prefix []longPrefix

	pack     *Inode // where fragments lie; nil without any
	packRuns mapping
	packed   recent[int64, []byte] // its content, by where a cluster of it begins
	unpack   unpacker
	input    []byte // a cluster on its way to the unpacker
	spare    []byte // a cluster's content, between two readers
}

// Open reads the superblock and the root folder's inode of the image in the
// first size bytes of r, which may go on after the file system. What is known
// and not read is an *[Unsupported].
func Open(r io.ReaderAt, size int64) (*FileSystem, error) {
	f := &FileSystem{r: r}
	if err := f.open(size); err != nil {
		return nil, fmt.Errorf("opening erofs: %w", err)
	}
	return f, nil
}

// Bounds on what is kept, in bytes. A cluster has up to 12 MiB, and one more
// than fits may be kept.
const (
	metadataKept = 2 << 20
	packedKept   = 8 << 20
)

func (f *FileSystem) open(size int64) error {
	var err error
	if f.super, err = readImageSuper(f.r, size); err != nil {
		return err
	}
	f.blocks = newRecent[int64, []byte](metadataKept / 2)
	f.packed = newRecent[int64, []byte](packedKept / 2)
	if f.super.packed != 0 {
		if f.pack, err = f.Inode(Handle{nid: f.super.packed, kind: typeRegular}); err != nil {
			return fmt.Errorf("reading the inode of fragments: %w", err)
		}
	}
	if f.prefix, err = f.readPrefixes(); err != nil {
		return fmt.Errorf("reading the long prefixes of attributes: %w", err)
	}
	_, err = f.Inode(f.Root())
	return err
}

// Size returns the number of bytes that the file system takes, all its blocks.
func (f *FileSystem) Size() int64 { return f.super.size }

// Root returns the topmost folder.
func (f *FileSystem) Root() Handle {
	return Handle{nid: f.super.root, parent: f.super.root, kind: typeFolder}
}

// readAt fills p from the image's own bytes.
func (f *FileSystem) readAt(p []byte, off int64) error {
	if off < 0 || off > f.super.size || int64(len(p)) > f.super.size-off {
		return fmt.Errorf("reading %d bytes at %d: the file system ends at %d", len(p), off, f.super.size)
	}
	return readImage(f.r, p, off)
}

// readImage reads all of p, whatever else r returns.
func readImage(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}

// metadata fills p with the bytes at off, by way of the blocks that are kept.
func (f *FileSystem) metadata(p []byte, off int64) error {
	for len(p) > 0 {
		b, err := f.metadataBlock(off)
		if err != nil {
			return err
		}
		n := copy(p, b)
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// metadataBlock returns what is in the block of the byte at off from there on.
// It is the cache's: whoever gets it only reads.
func (f *FileSystem) metadataBlock(off int64) ([]byte, error) {
	start := off &^ (f.super.blockSize - 1)
	b, ok := f.blocks.get(start)
	if !ok {
		b = make([]byte, f.super.blockSize)
		if err := f.readAt(b, start); err != nil {
			return nil, err
		}
		f.blocks.put(start, b, len(b))
	}
	return b[off-start:], nil
}

// recent keeps values by key: those used lately, of two times limit bytes and
// two values at most.
type recent[K comparable, V any] struct {
	limit, size int
	young, old  map[K]V
}

func newRecent[K comparable, V any](limit int) recent[K, V] {
	return recent[K, V]{limit: limit, young: make(map[K]V)}
}

func (r *recent[K, V]) get(key K) (V, bool) {
	v, ok := r.young[key]
	if !ok {
		v, ok = r.old[key]
	}
	return v, ok
}

// put keeps a value of size bytes, of which more than limit may be one value.
func (r *recent[K, V]) put(key K, v V, size int) {
	if r.size += size; r.size > r.limit && len(r.young) > 0 {
		r.old, r.young, r.size = r.young, make(map[K]V), size
	}
	r.young[key] = v
}
