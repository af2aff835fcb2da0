package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

const (
	superOffset   = 1024
	superSize     = 128
	superMagic    = 0xe0f5e1e2
	blockSizeBits = 12

	// firstSlot comes right after the superblock. The superblock's field for the
	// root's inode number has 16 bits, which is why the root alone stands in
	// block 0, in this slot or, behind the record of a codec, in the next.
	firstSlot = (superOffset + superSize) / slotSize

	featureChecksum = 1 // compatible features: the superblock carries a checksum,
	featureMtime    = 2 // and inodes carry modification times
)

// errFinished is what a Writer says after Finish.
var errFinished = errors.New("writing to an image that is finished")

// Finish writes the folders below and including root, sets the link counts, and
// completes the image with its first block. It returns the image's length in
// blocks of BlockSize. The Writer is of no use afterwards.
func (w *Writer) Finish(root *Dir) (blocks int64, err error) {
	if w.err != nil {
		return 0, w.err
	}
	blocks, err = w.finish(root)
	if err != nil {
		return 0, w.fail(err)
	}
	w.err = errFinished
	return blocks, nil
}

func (w *Writer) finish(root *Dir) (int64, error) {
	folders, err := collect(root)
	if err != nil {
		return 0, err
	}
	if w.press != nil {
		if err := w.press.finish(); err != nil {
			return 0, err
		}
	}
	if err := w.closeSegment(); err != nil {
		return 0, err
	}
	if err := w.encodeFolders(folders); err != nil {
		return 0, err
	}
	// All attributes are known now.
	if err := w.writeShared(); err != nil {
		return 0, err
	}
	if err := w.data.flush(); err != nil {
		return 0, err
	}
	first := make([]byte, BlockSize)
	if err := w.writeFolders(folders, first); err != nil {
		return 0, err
	}
	blocks := w.data.end() / BlockSize
	if err := w.patchLinks(); err != nil {
		return 0, err
	}
	if err := w.encodeSuper(first, blocks); err != nil {
		return 0, err
	}
	buf, err := newBuffer(w.dev)
	if err != nil {
		return 0, err
	}
	if err := write(w.dev, buf[:copy(buf, first)], 0); err != nil {
		return 0, err
	}
	return blocks, w.dev.Flush()
}

// patchLinks corrects the link counts of inodes that are in their place.
func (w *Writer) patchLinks() error {
	if len(w.links) == 0 {
		return nil
	}
	if err := w.dev.Flush(); err != nil {
		return err
	}
	var block [BlockSize]byte
	at := int64(-1) // offset of what block holds
	save := func() error {
		if at < 0 {
			return nil
		}
		return w.dev.Rewrite(block[:], at)
	}
	numbers := make(map[uint64]uint32, len(w.links))
	for ref, links := range w.links {
		number, err := w.number(ref)
		if err != nil {
			return err
		}
		numbers[number] = links
	}
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		off := int64(number) * slotSize
		if start := off &^ (BlockSize - 1); start != at {
			if err := save(); err != nil {
				return err
			}
			at = start
			if _, err := w.dev.ReadAt(block[:], at); err != nil {
				return fmt.Errorf("reading back block %d: %w", at/BlockSize, err)
			}
		}
		if err := setLinks(block[off-at:], numbers[number]); err != nil {
			return err
		}
	}
	return save()
}

// encodeSuper writes the superblock into the image's first block, all else of
// which is in place: the checksum covers the block from the superblock on.
func (w *Writer) encodeSuper(first []byte, blocks int64) error {
	le := binary.LittleEndian
	p := first[superOffset:]
	le.PutUint32(p[0:], superMagic)
	le.PutUint32(p[8:], featureChecksum|featureMtime)
	p[12] = blockSizeBits
	le.PutUint16(p[14:], uint16(w.rootSlot))
	le.PutUint64(p[16:], w.inodes)
	le.PutUint64(p[24:], uint64(w.buildSec))
	le.PutUint32(p[32:], w.buildNsec)
	le.PutUint32(p[36:], uint32(blocks))
	le.PutUint32(p[44:], w.sharedAt)
	copy(p[48:64], w.uuid[:])
	var incompatible uint32
	for f := range w.used.all {
		incompatible |= f.bits()
	}
	le.PutUint32(p[80:], incompatible)
	if w.press != nil {
		if err := w.press.encodeRecord(p); err != nil {
			return err
		}
	}
	// The kernel's crc32c leaves out the final inversion.
	le.PutUint32(p[4:], ^crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return nil
}
