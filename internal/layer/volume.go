package layer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"inlay/internal/content"
	"inlay/internal/ddi"
	"inlay/internal/discover"
	"inlay/internal/gpt"
	"inlay/internal/verify"
	"inlay/internal/verity"
)

// Extent is a part of a file, in bytes.
type Extent struct{ Offset, Size int64 }

// Volume is the file system of an image and what protects it, as it was verified.
type Volume struct {
	// File is what the extents are parts of: Opened.File, or a sealed copy of it,
	// which Sealed says.
	File   *os.File
	Sealed bool
	// Designator is "root", or "usr": then the file system is to be mounted on the
	// folder usr of an empty one.
	Designator string
	// FileSystem is blkid's word for it.
	FileSystem string
	// SectorSize is that of the partition table; 512 if there is none.
	SectorSize uint32
	// Data is the file system.
	Data Extent
	// Protected says that there is a hash tree and the policy has it used: then the
	// rest is set. Else the data is mounted as it is.
	Protected  bool
	Superblock verity.Superblock
	RootHash   [verity.DigestSize]byte
	// Hash begins with the superblock. It is part of HashFile, which is File unless
	// the tree lies beside the image.
	Hash     Extent
	HashFile *os.File
	// Signature is in DER, nil if there is none; Signed says that it is a trusted
	// one.
	Signature []byte
	Signed    bool
}

// volumeOf finds the volume of an image again that was verified: in file, which is
// the image or a copy of it. Nothing that it reads anew is believed where there is
// a hash tree: the root hash is the verdict's.
func volumeOf(o *discover.Opened, file *os.File, v *verify.Verdict) (*Volume, error) {
	s := o.Subject
	vol := &Volume{
		File: file, Sealed: file != o.File, Designator: gpt.Root, FileSystem: v.FileSystem,
		SectorSize: 512, Data: Extent{0, s.Size}, Protected: v.Protection != verify.Unprotected, Signed: v.Protection == verify.Signed,
	}
	if v.Form == content.DiskImage {
		if err := vol.partitions(file, s.Size); err != nil {
			return nil, err
		}
	} else if len(s.Statements) > 0 {
		vol.Designator = s.Statements[0].Designator
	}
	if len(s.Signatures) > 0 {
		vol.Signature = s.Signatures[0].DER
	}
	if !vol.Protected {
		return vol, nil
	}
	if n, err := hex.Decode(vol.RootHash[:], []byte(v.RootHash)); err != nil || n != len(vol.RootHash) {
		return nil, fmt.Errorf("the verdict has no root hash: %q", v.RootHash)
	}
	if vol.HashFile == nil {
		if s.Tree == nil {
			return nil, errors.New("the hash tree is gone: the image changes while it is used")
		}
		tree, ok := s.Tree.Reader.(*os.File)
		if !ok {
			return nil, errors.New("the hash tree is in no file")
		}
		vol.HashFile, vol.Hash = tree, Extent{0, s.Tree.Size}
	}
	head := make([]byte, verity.SuperblockSize)
	if n, err := vol.HashFile.ReadAt(head, vol.Hash.Offset); n < len(head) {
		return nil, fmt.Errorf("reading the superblock of the hash tree: %w", err)
	}
	var err error
	vol.Superblock, err = verity.ParseSuperblock(head)
	return vol, err
}

// partitions reads where the parts of a disk image are.
func (vol *Volume) partitions(file *os.File, size int64) error {
	image, err := ddi.Open(file, size)
	if err != nil {
		return err
	}
	extent := func(p gpt.Partition) Extent { return Extent{image.Table.Offset(p), image.Table.Length(p)} }
	vol.Designator, vol.Data = image.Designator, extent(image.Data)
	vol.SectorSize = uint32(image.Table.SectorSize) //nolint:gosec // at most 4096
	if image.Verity != nil {
		vol.HashFile, vol.Hash = file, extent(*image.Verity)
	}
	signature, err := image.Signature()
	switch {
	case err == nil:
		vol.Signature = signature.PKCS7
	case !errors.Is(err, ddi.ErrUnsigned) && !errors.Is(err, ddi.ErrDeferred):
		return err
	}
	return nil
}

// tree opens the files, through the hash tree if there is one, so that nothing is
// believed that it doesn't vouch for. The error is a *content.Unread for a file
// system that nobody here can read.
func (vol *Volume) tree() (*content.Tree, error) {
	var data io.ReaderAt = io.NewSectionReader(vol.File, vol.Data.Offset, vol.Data.Size)
	size := vol.Data.Size
	if vol.Protected {
		checked := verity.NewReader(vol.Superblock, vol.RootHash, data, io.NewSectionReader(vol.HashFile, vol.Hash.Offset, vol.Hash.Size))
		data, size = checked, checked.Size()
	}
	tree, err := content.Open(data, size)
	if err == nil && vol.Designator == gpt.Usr {
		tree = tree.Under(gpt.Usr)
	}
	return tree, err
}
