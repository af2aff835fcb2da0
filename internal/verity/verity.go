// Package verity makes and checks dm-verity hash partitions as cryptsetup and
// systemd-repart do: superblock version 1, hash type 1, SHA-256, data and hash
// blocks of 4096 bytes (kernel documentation, admin-guide/device-mapper/verity;
// cryptsetup's lib/verity for the superblock).
//
// Left out on purpose: every other algorithm and block size (a reader that
// takes no other has nothing to be talked into), forward error correction, and
// hash areas without a superblock.
package verity

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	// BlockSize is the size in bytes of data blocks and of hash blocks.
	BlockSize = 4096
	// DigestSize is the size in bytes of one hash.
	DigestSize = 32
	// SuperblockSize is the size in bytes of the superblock. The rest of its
	// block is zero.
	SuperblockSize = 512
	// MaxSalt is the longest salt in bytes that the superblock has room for.
	MaxSalt = 256

	perBlock = BlockSize / DigestSize // digests in a hash block
	// maxDataBlocks bounds what is believed of a superblock: 256 TiB.
	maxDataBlocks = 1 << 36

	magic     = "verity\x00\x00"
	algorithm = "sha256"
)

// Superblock is the head of a hash partition.
type Superblock struct {
	UUID       [16]byte // in the order of its text
	DataBlocks uint64   // blocks that the tree covers
	Salt       []byte
}

// HashBlocks returns the number of blocks of the tree, without the superblock's.
// It is 0 for one data block, whose digest is the root hash.
func (s Superblock) HashBlocks() uint64 {
	var total uint64
	for n := s.DataBlocks; n > 1; {
		n = (n + perBlock - 1) / perBlock
		total += n
	}
	return total
}

// Size returns the bytes of the hash partition that are in use: superblock and
// tree.
func (s Superblock) Size() int64 { return int64(1+s.HashBlocks()) * BlockSize }

// Marshal returns the SuperblockSize bytes of s, which must have a salt of at
// most MaxSalt bytes.
func (s Superblock) Marshal() []byte {
	b := make([]byte, SuperblockSize)
	le := binary.LittleEndian
	copy(b[0:], magic)
	le.PutUint32(b[8:], 1)  // version
	le.PutUint32(b[12:], 1) // hash type: salt before the block
	copy(b[16:], s.UUID[:])
	copy(b[32:], algorithm)
	le.PutUint32(b[64:], BlockSize)
	le.PutUint32(b[68:], BlockSize)
	le.PutUint64(b[72:], s.DataBlocks)
	le.PutUint16(b[80:], uint16(len(s.Salt)))
	copy(b[88:88+MaxSalt], s.Salt)
	return b
}

// ParseSuperblock reads the first SuperblockSize bytes of a hash partition. It
// refuses whatever Marshal would not write: other parameters, and bytes where
// none belong.
func ParseSuperblock(b []byte) (Superblock, error) {
	if len(b) < SuperblockSize {
		return Superblock{}, fmt.Errorf("parsing verity superblock: %d bytes are too few", len(b))
	}
	b = b[:SuperblockSize]
	le := binary.LittleEndian
	if string(b[:8]) != magic {
		return Superblock{}, errors.New("parsing verity superblock: no superblock here")
	}
	for _, field := range []struct {
		name string
		at   int
		want uint32
	}{{"version", 8, 1}, {"hash type", 12, 1}, {"data block size", 64, BlockSize}, {"hash block size", 68, BlockSize}} {
		if got := le.Uint32(b[field.at:]); got != field.want {
			return Superblock{}, fmt.Errorf("parsing verity superblock: %s %d, only %d is supported", field.name, got, field.want)
		}
	}
	name, _, _ := bytes.Cut(b[32:64], []byte{0})
	if string(name) != algorithm {
		return Superblock{}, fmt.Errorf("parsing verity superblock: algorithm %q, only %q is supported", name, algorithm)
	}
	s := Superblock{UUID: [16]byte(b[16:32]), DataBlocks: le.Uint64(b[72:])}
	if s.DataBlocks == 0 || s.DataBlocks > maxDataBlocks {
		return Superblock{}, fmt.Errorf("parsing verity superblock: %d data blocks", s.DataBlocks)
	}
	salt := le.Uint16(b[80:])
	if salt > MaxSalt {
		return Superblock{}, fmt.Errorf("parsing verity superblock: salt of %d bytes, at most %d fit", salt, MaxSalt)
	}
	s.Salt = slices.Clone(b[88 : 88+salt])
	if !bytes.Equal(s.Marshal(), b) {
		return Superblock{}, errors.New("parsing verity superblock: bytes in its reserved parts")
	}
	return s, nil
}
