package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"

	"inlay/internal/content"
	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/hint"
	"inlay/internal/verity"
)

// Forms of an extension.
const (
	formDisk   = "disk image"
	formNaked  = "file system"
	formFolder = "folder"
)

// growFileSystem is the attribute that asks for growth at the first mount
// (UAPI.2).
const growFileSystem uint64 = 1 << 59

// checkTable finds the volume: the partitions of a disk image, or a naked file
// system.
func (c *course) checkTable(context.Context) (State, string, error) {
	v, s := c.verdict, c.subject
	if s.Folder != nil {
		v.Form, c.volume.designator = formFolder, gpt.Root
		return Nothing, "a folder has no partitions", nil
	}
	image, err := ddi.Open(c.medium, s.Size)
	naked, nakedSize := content.Probe(c.medium, s.Size)
	switch {
	case errors.Is(err, gpt.ErrNoTable) && naked != "":
		v.Form = formNaked
		c.volume = volume{
			designator: gpt.Root, data: io.NewSectionReader(c.medium, 0, s.Size), size: s.Size, readOnly: true,
			fileSystem: naked, fileSystemSize: nakedSize,
		}
		if s.usr() {
			c.volume.designator = gpt.Usr
		}
		v.FileSystem = naked
		return Nothing, "a naked " + naked + " file system", nil
	case errors.Is(err, gpt.ErrNoTable):
		return "", "", hint.Wrap(errors.New("neither a partition table nor a file system: this is no extension image"),
			"name an image such as the NAME.sysext.raw that inlay build makes; fetch it again if it should be one")
	case err != nil:
		return "", "", err
	case naked != "":
		return "", "", fmt.Errorf("a partition table and a file system (%s) at once: two readers could see two different images", naked)
	case len(image.Table.Damage) > 0:
		return "", "", hint.Wrap(fmt.Errorf("%v", image.Table.Damage[0]), "fetch or build the image again: it has been changed or cut short")
	}
	if more := s.Size - image.Table.Size; more > 0 && !s.Device {
		return "", "", hint.Wrap(fmt.Errorf("%d bytes follow the end of the disk image", more), "fetch or build the image again: something was added to it")
	}
	if err := c.checkLayout(image); err != nil {
		return "", "", err
	}
	v.Form, v.Architecture = formDisk, image.Architecture
	return Passed, c.volumeOf(image), nil
}

// maxLead is how far into an image the first partition may begin, in bytes: 64
// times what every tool leaves.
const maxLead = 64 << 20

// checkLayout refuses what would let another reader see another image in the same
// file: a file system in the gaps before the first partition, which libblkid
// would take for the whole, or partitions that no extension has.
func (c *course) checkLayout(image *ddi.Image) error {
	for _, gap := range image.Table.Gaps {
		if gap.Size > maxLead {
			return fmt.Errorf("the first partition begins behind byte %d: at most %d are accepted", gap.Offset+gap.Size, maxLead)
		}
		at, err := firstNonZero(io.NewSectionReader(c.medium, gap.Offset, gap.Size))
		if err != nil {
			return err
		}
		if at >= 0 {
			return fmt.Errorf("byte %d lies between the partition table and the first partition and is not zero: another reader could find another image there", gap.Offset+at)
		}
	}
	expected := []gpt.Partition{image.Data}
	for _, p := range []*gpt.Partition{image.Verity, image.Signed} {
		if p != nil {
			expected = append(expected, *p)
		}
	}
	for _, p := range image.Table.Partitions {
		if !slices.Contains(expected, p) {
			return hint.Wrap(fmt.Errorf("partition %d, of the type %s, is none that an extension has", p.Number, p.Type), "build an image with one file system, its hash tree and its signature")
		}
	}
	return nil
}

// firstNonZero returns the offset of the first byte of r that is not zero, -1 if
// there is none.
func firstNonZero(r io.Reader) (int64, error) {
	b, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(r, b)
		if !bytes.Equal(b[:n], zeros[:n]) {
			return at + int64(slices.IndexFunc(b[:n], func(c byte) bool { return c != 0 })), nil
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return -1, nil
		case err != nil:
			return -1, fmt.Errorf("reading byte %d: %w", at, err)
		}
	}
}

// usr says that what lies beside a naked file system calls it a usr partition.
func (s *Subject) usr() bool {
	for _, st := range s.Statements {
		if st.Designator == gpt.Usr {
			return true
		}
	}
	return false
}

// volumeOf takes from image what the later checks need, and describes it.
func (c *course) volumeOf(image *ddi.Image) string {
	section := image.FileSystem()
	c.volume = volume{
		designator: image.Designator, data: section, size: section.Size(),
		readOnly: image.Data.Attributes&gpt.ReadOnly != 0, growFS: image.Data.Attributes&growFileSystem != 0,
	}
	const flags = gpt.ReadOnly | growFileSystem
	c.volume.mixed = slices.ContainsFunc(image.Table.Partitions, func(p gpt.Partition) bool { return (p.Attributes^image.Data.Attributes)&flags != 0 })
	c.volume.fileSystem, c.volume.fileSystemSize = content.Probe(section, section.Size())
	c.verdict.FileSystem = c.volume.fileSystem
	c.image = image
	parts := []string{image.Designator}
	if image.Verity != nil {
		parts = append(parts, image.Designator+"-verity")
	}
	if image.Signed != nil {
		parts = append(parts, image.Designator+"-verity-sig")
	}
	arch := image.Architecture
	if arch == "" {
		arch = "any architecture"
	}
	return fmt.Sprintf("%s for %s, in sectors of %d bytes; both copies of the table agree", strings.Join(parts, ", "), arch, image.Table.SectorSize)
}

// checkSuperblock finds the hash tree and sees whether it fits the data.
func (c *course) checkSuperblock(context.Context) (State, string, error) {
	s, vol := c.subject, &c.volume
	switch {
	case s.Fault != nil:
		if _, ok := errors.AsType[syscall.Errno](s.Fault); ok {
			c.failing.CompareAndSwap(nil, &s.Fault)
		}
		return "", "", hint.Default(s.Fault, "mend or remove what lies beside the image")
	case c.image != nil && s.Tree != nil:
		return "", "", hint.Wrap(fmt.Errorf("%q is a hash tree for an image without a partition table, and this one has a table", s.Tree.Origin),
			"remove it: systemd refuses the pair too")
	case c.image != nil && c.image.Verity != nil:
		super, err := c.image.Superblock()
		if err != nil {
			return "", "", err
		}
		vol.super, vol.hash = super, c.image.Section(*c.image.Verity)
	case s.Tree != nil && vol.data != nil:
		if err := c.externalTree(); err != nil {
			return "", "", err
		}
	case len(s.Statements) > 0:
		return "", "", hint.Wrap(fmt.Errorf("%s states a root hash, but there is no hash tree", s.Statements[0].Origin),
			"put the hash tree beside the image, or remove the statement")
	case len(s.Signatures) > 0:
		return "", "", hint.Wrap(fmt.Errorf("%s is a signature, but there is no hash tree", s.Signatures[0].Origin),
			"put the hash tree and the root hash beside the image, or remove the signature")
	default:
		return Nothing, "no hash tree", nil
	}
	covered := int64(vol.super.DataBlocks) * verity.BlockSize //nolint:gosec // bounded by the size of the partition
	switch {
	case vol.fileSystemSize > covered:
		return "", "", fmt.Errorf("the hash tree covers %d bytes, but the %s file system takes %d", covered, vol.fileSystem, vol.fileSystemSize)
	case vol.fileSystemSize == 0 && covered < vol.size:
		// Nobody can tell how much of the partition counts, so all of it does.
		return "", "", fmt.Errorf("the hash tree covers %d bytes of %d, and the file system doesn't tell how many it takes", covered, vol.size)
	}
	return Passed, fmt.Sprintf("SHA-256 over %d blocks of %d bytes, salt of %d bytes", vol.super.DataBlocks, verity.BlockSize, len(vol.super.Salt)), nil
}

// externalTree reads the superblock of a tree in a file of its own.
func (c *course) externalTree() error {
	tree, vol := c.subject.Tree, &c.volume
	b := make([]byte, verity.SuperblockSize)
	if n, err := tree.Reader.ReadAt(b, 0); n < len(b) {
		return fmt.Errorf("reading %q: %w", tree.Origin, err)
	}
	super, err := verity.ParseSuperblock(b)
	if err != nil {
		return fmt.Errorf("reading %q: %w", tree.Origin, err)
	}
	switch {
	case super.DataBlocks > uint64(vol.size/verity.BlockSize): //nolint:gosec // a size is not negative
		return fmt.Errorf("hash tree %q covers %d blocks, the file system has %d", tree.Origin, super.DataBlocks, vol.size/verity.BlockSize)
	case super.Size() > tree.Size:
		return fmt.Errorf("hash tree takes %d bytes, %q has %d", super.Size(), tree.Origin, tree.Size)
	}
	vol.super, vol.hash = super, c.noting(tree.Reader)
	return nil
}
