// Package ext4 reads ext2, ext3 and ext4 file systems, as mkfs.ext4 of
// e2fsprogs 1.47 and the Linux kernel write them: "Data Structures and
// Algorithms" of the kernel's ext4 documentation. It reads images of strangers,
// so it is stricter than the kernel: what a sound file system never holds is an
// error, also where the kernel would look away.
//
// It reads blocks of 1 to 4 KiB; group descriptors of 32 and 64 bits, in one
// table or in meta groups; extents, block maps, holes and unwritten extents;
// inodes of 128 bytes and more; data inside of inodes; linear and indexed
// folders; links of all kinds; extended attributes beside the inode and in a
// block of their own. With metadata_csum it checks every checksum of what it
// reads: superblock, group descriptors, inodes, extent blocks, folders, indexes
// and attribute blocks. Each folder is held to have one name, below the folder
// that its ".." names, so that a walk ends.
//
// Left out on purpose: what would have to be repaired first (a journal that was
// not written back, orphans to delete), what needs a key or a table of letters
// (encryption, case folding), attributes that have inodes of their own, fs-verity
// files, blocks above 4 KiB; all these are [Unsupported]. It does not look at what
// nobody reads: bitmaps, counts of free and used things, backup superblocks, the
// journal, the old checksums of uninit_bg, the hashes of attributes. Nor does
// it know whether two files claim the same block, or whether a name stands
// where its hash says that a look-up would search.
package ext4

import (
	"errors"
	"fmt"
	"io"
)

// Unsupported says what this package knows of and doesn't read.
type Unsupported struct {
	Feature string // for people: "encryption", "blocks of 65536 bytes"
}

func (u *Unsupported) Error() string { return u.Feature + ": not supported" }

// FileSystem is an open file system. What it gives out are copies, and reads
// need no more memory than a few blocks, except for a folder's names. It and the
// readers it opens are for one goroutine at a time.
type FileSystem struct {
	r     io.ReaderAt
	super superblock
	cache [cachedBlocks]cachedBlock
}

// Open reads and checks the superblock and the root folder's inode of a file
// system that begins at byte 0 of r, which holds size bytes. Bytes after the
// file system's end, [FileSystem.Size], are not looked at.
//
// The error wraps an [*Unsupported] for what is known but not read.
func Open(r io.ReaderAt, size int64) (*FileSystem, error) {
	f := &FileSystem{r: r}
	if err := f.open(size); err != nil {
		return nil, fmt.Errorf("reading ext4 superblock: %w", err)
	}
	if _, err := f.Inode(f.Root()); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *FileSystem) open(size int64) error {
	if size < superblockOffset+superblockSize {
		return fmt.Errorf("%d bytes hold none", size)
	}
	raw := make([]byte, superblockSize)
	if err := f.readAt(raw, superblockOffset); err != nil {
		return err
	}
	return f.super.parse(raw, size)
}

// Size returns how many bytes the file system takes, all its blocks.
func (f *FileSystem) Size() int64 { return int64(f.super.blocks) * f.super.blockSize }

// Root returns the topmost folder.
func (f *FileSystem) Root() Ref { return Ref{ino: rootInode, parent: rootInode, kind: typeFolder} }

// readAt fills p from byte off of the image.
func (f *FileSystem) readAt(p []byte, off int64) error {
	n, err := f.r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil // io.EOF may come with it
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("reading %d bytes at byte %d: %w", len(p), off, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("reading %d bytes at byte %d: %w", len(p), off, err)
}
