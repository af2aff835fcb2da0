package ext4

import (
	"fmt"

	"inlay/internal/hint"
)

// Features that a reader may ignore if it doesn't know them.
const (
	compatDirIndex     = 0x20
	compatSparseSuper2 = 0x200
)

// Features without which nothing may be read.
const (
	incompatCompression = 0x1
	incompatFileType    = 0x2
	incompatRecover     = 0x4
	incompatJournal     = 0x8
	incompatMetaGroups  = 0x10
	incompatExtents     = 0x40
	incompat64Bit       = 0x80
	incompatMMP         = 0x100 // guards a mount that writes
	incompatFlexGroups  = 0x200 // metadata of groups may lie anywhere
	incompatXattrInode  = 0x400
	incompatDirData     = 0x1000
	incompatSeed        = 0x2000
	incompatLargeDir    = 0x4000
	incompatInlineData  = 0x8000
	incompatEncryption  = 0x10000
	incompatCaseFold    = 0x20000

	// Encryption and attributes in inodes are a matter of single inodes.
	incompatRead = incompatFileType | incompatMetaGroups | incompatExtents | incompat64Bit | incompatMMP |
		incompatFlexGroups | incompatXattrInode | incompatSeed | incompatLargeDir | incompatInlineData | incompatEncryption
)

// Features without which nothing may be written. A reader may ignore all of
// them; unknown ones are refused all the same, as nobody has asked what they mean
// for a verdict.
const (
	roSparseSuper  = 0x1
	roHugeFile     = 0x8
	roBigAlloc     = 0x200 // blocks are given out in clusters, but still counted singly
	roMetadataSums = 0x400
	roVerity       = 0x8000
	roOrphans      = 0x10000

	// Besides: large files, B-tree folders, old group checksums, many links to
	// folders, extra inode fields, quota, read-only, projects, shared blocks.
	roRead = roSparseSuper | 0x2 | 0x4 | roHugeFile | 0x10 | 0x20 | 0x40 | 0x100 | roBigAlloc | roMetadataSums |
		0x1000 | 0x2000 | 0x4000 | roVerity
)

// checkFeatures refuses what would be read wrongly.
func (s *superblock) checkFeatures() error {
	for _, f := range []struct {
		bit  uint32
		name string
	}{
		{incompatCompression, "compression"},
		{incompatJournal, "a journal device"},
		{incompatDirData, "data in folder entries"},
		{incompatCaseFold, "folders that ignore case"},
	} {
		if s.incompat&f.bit != 0 {
			return &Unsupported{f.name}
		}
	}
	if s.incompat&incompatRecover != 0 {
		return hint.Wrap(&Unsupported{"a journal with changes that were not written back"},
			`run "e2fsck -f" on the image and sign it again: extensions are mounted without recovery`)
	}
	if s.ro&roOrphans != 0 || s.lastOrphan != 0 {
		return hint.Wrap(&Unsupported{"deleted files that still wait for their removal"},
			`run "e2fsck -f" on the image and sign it again`)
	}
	if rest := s.incompat &^ incompatRead; rest != 0 {
		return &Unsupported{fmt.Sprintf("incompatible features %#x", rest)}
	}
	if rest := s.ro &^ roRead; rest != 0 {
		return &Unsupported{fmt.Sprintf("read-only compatible features %#x", rest)}
	}
	return nil
}
