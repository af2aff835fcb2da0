package ddi

import (
	"errors"
	"fmt"
	"io"

	"inlay/internal/gpt"
	"inlay/internal/verity"
)

// ErrNoVerity is returned for an image without a verity partition.
var ErrNoVerity = errors.New("no verity partition")

// emptyLabel marks a partition that is there for later use (UAPI.2).
const emptyLabel = "_empty"

// genericType is "Linux file system": taken for the root if there is nothing
// better, as systemd does.
const genericType = "0fc63daf-8483-4772-8e79-3d69d8477de4"

// Image is an opened disk image. What it says of itself was read once, by
// Open; none of it has been checked against a key.
type Image struct {
	Table        *gpt.Table
	Designator   string // gpt.Root or gpt.Usr
	Architecture string // "" if the type of the partition doesn't tell
	Data         gpt.Partition
	Verity       *gpt.Partition // nil if there is none
	Signed       *gpt.Partition // the signature partition; nil if there is none

	reader io.ReaderAt
	super  verity.Superblock
	tree   RootHash // recomputed from the top of the tree
	sig    *Signature
	// Why there is no super and tree, or no sig.
	superErr, sigErr error
}

// Open reads the structure of an image of size bytes. It fails where it cannot
// tell which partitions belong together; a fault inside of the verity or
// signature partition is returned by the methods that would show it.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	t, err := gpt.Parse(r, size)
	if err != nil {
		return nil, err
	}
	im := &Image{Table: t, reader: r}
	if err := im.assign(); err != nil {
		return nil, fmt.Errorf("opening image: %w", err)
	}
	im.super, im.tree, im.superErr = im.readVerity()
	im.sig, im.sigErr = im.readSignature()
	return im, nil
}

// assign finds the partition of each role. systemd chooses among several of
// one role by architecture and label; an extension has no use for a choice, so
// two of them are an error here.
func (im *Image) assign() error {
	var found [3][]gpt.Partition
	var generic []gpt.Partition
	var kinds []gpt.Discoverable
	for _, p := range im.Table.Partitions {
		if p.Label == emptyLabel || p.Attributes&gpt.NoAuto != 0 {
			continue
		}
		if p.Type.String() == genericType {
			generic = append(generic, p)
		}
		if d, known := gpt.Lookup(p.Type); known {
			found[d.Role] = append(found[d.Role], p)
			kinds = append(kinds, d)
		}
	}
	if len(kinds) == 0 && len(generic) == 1 {
		im.Designator, im.Data = gpt.Root, generic[0]
		return nil
	}
	if len(found[gpt.Data]) == 0 {
		return errors.New("no root or usr partition")
	}
	for role, parts := range found {
		if len(parts) > 1 {
			a, b := kindOf(parts[0]), kindOf(parts[1])
			return fmt.Errorf("partitions %d (%s) and %d (%s) are both %s partitions", parts[0].Number, a, parts[1].Number, b,
				[]string{"data", "verity", "signature"}[role])
		}
	}
	im.Data = found[gpt.Data][0]
	d := kindOf(im.Data)
	im.Designator, im.Architecture = d.Designator, d.Architecture
	for _, other := range kinds {
		if other.Designator != d.Designator || other.Architecture != d.Architecture {
			return fmt.Errorf("a %s partition does not belong to a %s partition", other, d)
		}
	}
	if len(found[gpt.Verity]) > 0 {
		im.Verity = &found[gpt.Verity][0]
	}
	if len(found[gpt.Signature]) > 0 {
		im.Signed = &found[gpt.Signature][0]
	}
	if im.Signed != nil && im.Verity == nil {
		return errors.New("a signature partition, but no verity partition")
	}
	return nil
}

func kindOf(p gpt.Partition) gpt.Discoverable {
	d, _ := gpt.Lookup(p.Type)
	return d
}

// Section returns the content of a partition of the image.
func (im *Image) Section(p gpt.Partition) *io.SectionReader {
	return io.NewSectionReader(im.reader, im.Table.Offset(p), im.Table.Length(p))
}

// FileSystem returns the content of the data partition. It may be longer than
// the file system in it.
func (im *Image) FileSystem() *io.SectionReader { return im.Section(im.Data) }

// Superblock returns the verity superblock, whose tree fits its partition and
// covers no more than the data partition. The error is ErrNoVerity for an
// image without verity.
func (im *Image) Superblock() (verity.Superblock, error) { return im.super, im.superErr }

// Signature returns what the signature partition holds. The error is
// ErrUnsigned or ErrDeferred for an image without a signature.
func (im *Image) Signature() (*Signature, error) { return im.sig, im.sigErr }

// StatedRoot returns the root hash that the GUIDs of the data and verity
// partitions make together.
func (im *Image) StatedRoot() (root RootHash, err error) {
	if im.Verity == nil {
		return root, ErrNoVerity
	}
	copy(root[:16], im.Data.GUID[:])
	copy(root[16:], im.Verity.GUID[:])
	return root, nil
}

// TreeRoot returns the root hash that the top block of the hash tree has.
func (im *Image) TreeRoot() (RootHash, error) { return im.tree, im.superErr }

// RootHash returns the root hash that the partitions' GUIDs state and the top
// of the hash tree confirms. The rest of the tree is not looked at, nor is the
// signature.
func (im *Image) RootHash() (RootHash, error) {
	stated, err := im.StatedRoot()
	if err != nil {
		return RootHash{}, err
	}
	tree, err := im.TreeRoot()
	if err != nil {
		return RootHash{}, err
	}
	if stated != tree {
		return RootHash{}, fmt.Errorf("the partition GUIDs state the root hash %x, but the hash tree has %x", stated, tree)
	}
	return tree, nil
}

func (im *Image) readVerity() (s verity.Superblock, root RootHash, err error) {
	if im.Verity == nil {
		return s, root, ErrNoVerity
	}
	hash, data := im.Section(*im.Verity), im.FileSystem()
	b, err := readFirst(hash, verity.SuperblockSize)
	if err != nil {
		return s, root, fmt.Errorf("reading verity superblock: %w", err)
	}
	if s, err = verity.ParseSuperblock(b); err != nil {
		return s, root, err
	}
	if s.DataBlocks > uint64(data.Size()/verity.BlockSize) {
		return verity.Superblock{}, root, fmt.Errorf("hash tree covers %d blocks, the data partition has %d", s.DataBlocks, data.Size()/verity.BlockSize)
	}
	if s.Size() > hash.Size() {
		return verity.Superblock{}, root, fmt.Errorf("hash tree takes %d bytes, its partition has %d", s.Size(), hash.Size())
	}
	if root, err = verity.TopRoot(s, hash, data); err != nil {
		return verity.Superblock{}, root, err
	}
	return s, root, nil
}

func (im *Image) readSignature() (*Signature, error) {
	if im.Signed == nil {
		return nil, ErrUnsigned
	}
	section := im.Section(*im.Signed)
	if section.Size() > maxSignature {
		return nil, fmt.Errorf("signature partition has %d bytes, at most %d are allowed", section.Size(), maxSignature)
	}
	b, err := readFirst(section, int(section.Size()))
	if err != nil {
		return nil, fmt.Errorf("reading signature partition: %w", err)
	}
	return ParseSignature(b)
}

// readFirst reads the first n bytes of r, all of them.
func readFirst(r io.ReaderAt, n int) ([]byte, error) {
	b := make([]byte, n)
	if got, err := r.ReadAt(b, 0); got < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}
