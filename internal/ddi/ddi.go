// Package ddi writes and reads discoverable disk images (UAPI.3) that hold one
// extension: a GUID partition table with a root (or usr) file system, its
// dm-verity hash tree and the signature of the tree's root hash. The layout is
// in docs/design/image.md.
//
// It knows nothing of what is in the file system and checks no signature: it
// hands out what the image says. Left out on purpose: images with a root and a
// usr file system, encrypted ones, and any other partition but those three.
package ddi

import (
	"fmt"
	"io"

	"inlay/internal/gpt"
	"inlay/internal/verity"
)

const (
	// Grain is what partitions and the image itself are multiples of, in bytes.
	Grain = 4096
	// DataOffset is where the file system begins in an image that Writer makes.
	DataOffset = 1 << 20
	// SignatureRoom is the size in bytes of a signature partition, unless the
	// signature needs more.
	SignatureRoom = 16384

	sectorSize = 512
)

// RootHash is the SHA-256 root hash of a verity hash tree.
type RootHash = [verity.DigestSize]byte

// File is what an image is written to.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// partitionGUIDs are the two halves of the root hash, by which the data and
// verity partitions of one tree are known.
func partitionGUIDs(root RootHash) (data, hash gpt.GUID) {
	return gpt.GUID(root[:16]), gpt.GUID(root[16:])
}

// roundUp returns n as a multiple of the grain.
func roundUp(n int64) int64 { return (n + Grain - 1) / Grain * Grain }

// partition describes bytes off to off+size as the role of d.
func partition(d gpt.Discoverable, guid gpt.GUID, off, size, sector int64) (gpt.Partition, error) {
	kind, known := gpt.TypeOf(d)
	if !known {
		return gpt.Partition{}, fmt.Errorf("no partition type for %q", d)
	}
	return gpt.Partition{
		Type: kind, GUID: guid,
		First: uint64(off / sector), Last: uint64((off+size)/sector - 1),
		Attributes: gpt.ReadOnly,
		Label:      d.String(),
	}, nil
}
