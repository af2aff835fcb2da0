package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	blockRaw     = 1 << 24 // in a block's size: it is not compressed
	blockSizes   = blockRaw - 1
	fragmentSize = 16 // of a fragment's record

	// fragmentsKept bounds the cache of fragments, which small files share: 4 MiB
	// with the largest blocks.
	fragmentsKept = 4
)

// Open returns the content of a regular file, exactly Size bytes of it, read
// block by block. The reader and the file system must be used by the same
// goroutine; several readers may be open at a time.
func (f *FileSystem) Open(n *Inode) (io.Reader, error) {
	if n.Mode&typeMask != modeRegular {
		return nil, fmt.Errorf("opening inode %d as a file: it has mode %#o", n.Ref.number, n.Mode)
	}
	return &file{f: f, n: n, left: n.Size, place: n.file.start}, nil
}

// file reads a regular file.
type file struct {
	f     *FileSystem
	n     *Inode
	left  int64   // bytes that no block was read for yet
	place uint64  // of the next block
	sizes *cursor // to the next block's size
	block []byte  // buffer for a block's content
	ready []byte  // not given out yet, in block or in a fragment
	hole  int64   // zeros to give out before anything else
	err   error   // what every Read says from now on
}

func (r *file) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.hole == 0 && len(r.ready) == 0 {
		if r.err == nil && r.left == 0 {
			r.err = io.EOF
		}
		if r.err == nil {
			if err := r.load(); err != nil {
				r.err = fmt.Errorf("reading the content of inode %d at byte %d of %d: %w", r.n.Ref.number, r.n.Size-r.left, r.n.Size, err)
			}
		}
		if r.err != nil {
			if r.block != nil {
				r.f.spare, r.block = r.block, nil
			}
			return 0, r.err
		}
	}
	if r.hole > 0 {
		n := int(min(r.hole, int64(len(p))))
		clear(p[:n])
		r.hole -= int64(n)
		return n, nil
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// load makes the next block, hole or tail ready.
func (r *file) load() error {
	size := min(r.left, r.f.super.blockSize)
	if size < r.f.super.blockSize && r.n.file.fragment != none {
		tail, err := r.f.tail(r.n.file.fragment, r.n.file.offset, size)
		if err != nil {
			return err
		}
		r.ready = tail
	} else if err := r.loadBlock(size); err != nil {
		return err
	}
	r.left -= size
	return nil
}

func (r *file) loadBlock(size int64) error {
	if r.sizes == nil {
		var err error
		if r.sizes, err = r.f.at(r.f.areas.inodes, r.n.file.sizes); err != nil {
			return err
		}
	}
	b, err := r.sizes.take(4)
	if err != nil {
		return err
	}
	packed := binary.LittleEndian.Uint32(b)
	if packed == 0 {
		r.hole = size
		return nil
	}
	if r.block == nil {
		r.block = r.f.buffer(size)
	}
	n, err := r.f.unpackBlock(r.block[:size], r.place, packed)
	if err != nil {
		return err
	}
	if int64(n) != size {
		return fmt.Errorf("the block at %d holds %d bytes and not %d", r.place, n, size)
	}
	r.place += uint64(packed & blockSizes)
	r.ready = r.block[:size]
	return nil
}

// buffer returns room for a block of which no more than size is needed. A file's
// first block is its longest.
func (f *FileSystem) buffer(size int64) []byte {
	if b := f.spare; int64(len(b)) >= size {
		f.spare = nil
		return b
	}
	return make([]byte, size)
}

// unpackBlock reads a data block or a fragment into dst and returns its length.
func (f *FileSystem) unpackBlock(dst []byte, place uint64, packed uint32) (int, error) {
	size := int64(packed & blockSizes)
	switch {
	case packed&^(blockRaw|blockSizes) != 0 || size == 0 || size > f.super.blockSize:
		return 0, fmt.Errorf("a block of size %#x", packed)
	case place < uint64(f.areas.data.start) || place > uint64(f.areas.data.end) || size > f.areas.data.end-int64(place):
		return 0, fmt.Errorf("a block of %d bytes at %d, and all content lies from %d to %d", size, place, f.areas.data.start, f.areas.data.end)
	}
	var n int
	var err error
	if packed&blockRaw != 0 {
		if n = int(size); n > len(dst) {
			return 0, fmt.Errorf("a block of %d bytes for %d", n, len(dst))
		}
		err = f.readAt(dst[:n], int64(place))
	} else {
		n, err = f.unpackAt(dst, int64(place), size)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the block at %d: %w", place, err)
	}
	return n, nil
}

// tail returns a file's last bytes, which lie in a fragment. They are the
// cache's: whoever gets them only reads.
func (f *FileSystem) tail(fragment, offset uint32, size int64) ([]byte, error) {
	content, ok := f.fragments.get(int64(fragment))
	if !ok {
		var err error
		if content, err = f.readFragment(fragment); err != nil {
			return nil, fmt.Errorf("reading fragment %d: %w", fragment, err)
		}
		f.fragments.put(int64(fragment), content)
	}
	if size > int64(len(content))-int64(offset) {
		return nil, fmt.Errorf("%d bytes at %d of a fragment of %d", size, offset, len(content))
	}
	return content[offset:][:size], nil
}

func (f *FileSystem) readFragment(fragment uint32) ([]byte, error) {
	b, err := f.record(&f.areas.fragments, uint64(fragment))
	if err != nil {
		return nil, err
	}
	place, packed := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])
	content := make([]byte, f.super.blockSize)
	n, err := f.unpackBlock(content, place, packed)
	if err == nil && n == 0 {
		err = errors.New("it is empty")
	}
	return content[:n:n], err
}
