package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

const (
	superblockOffset = 1024
	superblockSize   = 1024
	magic            = 0xef53

	goodOldInodeSize = 128
	minFirstInode    = 11
	rootInode        = 2

	// Linux can have larger blocks only where its pages are larger, until 2025.
	maxLogBlockSize = 2 // 1024 << 2
	maxBlockSize    = 1024 << maxLogBlockSize
)

// superblock is what readers need of it.
type superblock struct {
	blockSize      int64
	blocks         uint64 // of the file system, those before firstDataBlock too
	firstDataBlock uint64
	blocksPerGroup uint64
	clusterSize    int64
	groups         uint64
	inodes         uint32
	inodesPerGroup uint32
	firstInode     uint32 // those before are reserved
	inodeSize      int64
	descriptorSize int64
	firstMetaGroup uint64
	backupGroups   [2]uint32 // with sparse_super2

	compat, incompat, ro uint32
	lastOrphan           uint32
	hidden               [4]uint32 // inodes of quota and orphans, which no folder may name
	seed                 uint32    // of checksums
}

func (s *superblock) sums() bool { return s.ro&roMetadataSums != 0 }

// parse reads raw, the superblock of an image of size bytes.
func (s *superblock) parse(raw []byte, size int64) error {
	le := binary.LittleEndian
	if got := le.Uint16(raw[0x38:]); got != magic {
		return fmt.Errorf("its magic number is %#04x, not %#04x", got, magic)
	}
	if revision := le.Uint32(raw[0x4c:]); revision != 1 {
		return &Unsupported{fmt.Sprintf("revision %d of the format", revision)}
	}
	s.compat, s.incompat, s.ro = le.Uint32(raw[0x5c:]), le.Uint32(raw[0x60:]), le.Uint32(raw[0x64:])
	s.lastOrphan = le.Uint32(raw[0xe8:])
	if err := s.checkSum(raw); err != nil {
		return err
	}
	if err := s.checkFeatures(); err != nil {
		return err
	}
	if system := le.Uint32(raw[0x48:]); system != 0 {
		return &Unsupported{fmt.Sprintf("a file system made for another system than Linux (number %d)", system)}
	}
	s.hidden = [4]uint32{le.Uint32(raw[0x240:]), le.Uint32(raw[0x244:]), le.Uint32(raw[0x26c:]), le.Uint32(raw[0x280:])}
	if err := s.parseBlocks(raw, size); err != nil {
		return err
	}
	if err := s.parseGroups(raw); err != nil {
		return err
	}
	return s.parseInodes(raw)
}

// checkSum checks the superblock's own checksum and keeps what all others begin with.
func (s *superblock) checkSum(raw []byte) error {
	if !s.sums() {
		return nil
	}
	le := binary.LittleEndian
	if kind := raw[0x175]; kind != 1 {
		return &Unsupported{fmt.Sprintf("checksums of type %d", kind)}
	}
	if sum(^uint32(0), raw[:0x3fc]) != le.Uint32(raw[0x3fc:]) {
		return errSum
	}
	if s.seed = sum(^uint32(0), raw[0x68:0x78]); s.incompat&incompatSeed != 0 {
		s.seed = le.Uint32(raw[0x270:])
	}
	return nil
}

// parseBlocks reads how large blocks are and how many there are.
func (s *superblock) parseBlocks(raw []byte, size int64) error {
	le := binary.LittleEndian
	logBlock, logCluster := le.Uint32(raw[0x18:]), le.Uint32(raw[0x1c:])
	switch {
	case logBlock > 6:
		return fmt.Errorf("blocks of 2^%d bytes", uint64(logBlock)+10)
	case logBlock > maxLogBlockSize:
		return &Unsupported{fmt.Sprintf("blocks of %d bytes", 1024<<logBlock)}
	}
	s.blockSize, s.clusterSize = 1024<<logBlock, 1024<<logBlock
	if s.ro&roBigAlloc != 0 {
		if logCluster < logBlock || logCluster > 20 { // 1 GiB, as mke2fs has it
			return fmt.Errorf("clusters of 2^%d bytes for blocks of %d", uint64(logCluster)+10, s.blockSize)
		}
		s.clusterSize = 1024 << logCluster
	}
	s.blocks = uint64(le.Uint32(raw[0x4:]))
	if s.incompat&incompat64Bit != 0 {
		s.blocks |= uint64(le.Uint32(raw[0x150:])) << 32
	}
	if s.blocks > uint64(size)/uint64(s.blockSize) {
		return fmt.Errorf("%d blocks of %d bytes do not fit in the image's %d bytes", s.blocks, s.blockSize, size)
	}
	// Where a block is 1 KiB, the superblock is block 1, and counting starts
	// there, unless clusters are larger.
	s.firstDataBlock = uint64(le.Uint32(raw[0x14:]))
	want := uint64(0)
	if s.clusterSize == 1024 {
		want = 1
	}
	if s.firstDataBlock != want {
		return fmt.Errorf("block %d is called the first one, not %d", s.firstDataBlock, want)
	}
	if s.blocks <= s.superBlock()+1 {
		return fmt.Errorf("%d blocks are too few", s.blocks)
	}
	return nil
}

// superBlock returns the number of the block that holds the superblock.
func (s *superblock) superBlock() uint64 { return uint64(superblockOffset / s.blockSize) }

// parseGroups reads how blocks are grouped, and where groups are described.
func (s *superblock) parseGroups(raw []byte) error {
	le := binary.LittleEndian
	s.blocksPerGroup = uint64(le.Uint32(raw[0x20:]))
	clusters := s.blocksPerGroup // in a group; each is a bit of a block
	if s.ro&roBigAlloc != 0 {
		clusters = uint64(le.Uint32(raw[0x24:]))
	}
	if clusters == 0 || clusters > uint64(8*s.blockSize) || s.blocksPerGroup != clusters*uint64(s.clusterSize/s.blockSize) {
		return fmt.Errorf("a group of %d blocks in %d clusters", s.blocksPerGroup, clusters)
	}
	s.groups = (s.blocks - s.firstDataBlock + s.blocksPerGroup - 1) / s.blocksPerGroup
	s.descriptorSize = 32
	if s.incompat&incompat64Bit != 0 {
		s.descriptorSize = int64(le.Uint16(raw[0xfe:]))
		if s.descriptorSize < 64 || s.descriptorSize > 1024 || bits.OnesCount64(uint64(s.descriptorSize)) != 1 {
			return fmt.Errorf("group descriptors of %d bytes", s.descriptorSize)
		}
	}
	s.firstMetaGroup = uint64(le.Uint32(raw[0x104:]))
	s.backupGroups = [2]uint32{le.Uint32(raw[0x24c:]), le.Uint32(raw[0x250:])}
	return nil
}

// parseInodes reads how many inodes there are and how large.
func (s *superblock) parseInodes(raw []byte) error {
	le := binary.LittleEndian
	s.inodeSize = int64(le.Uint16(raw[0x58:]))
	if s.inodeSize < goodOldInodeSize || s.inodeSize > s.blockSize || bits.OnesCount64(uint64(s.inodeSize)) != 1 {
		return fmt.Errorf("inodes of %d bytes", s.inodeSize)
	}
	s.inodesPerGroup = le.Uint32(raw[0x28:])
	if s.inodesPerGroup == 0 || int64(s.inodesPerGroup) > 8*s.blockSize {
		return fmt.Errorf("%d inodes in a group", s.inodesPerGroup)
	}
	s.inodes = le.Uint32(raw[0x0:])
	if s.groups > uint64(s.inodes) || uint64(s.inodes) != s.groups*uint64(s.inodesPerGroup) {
		return fmt.Errorf("%d inodes in %d groups of %d", s.inodes, s.groups, s.inodesPerGroup)
	}
	s.firstInode = le.Uint32(raw[0x54:])
	if s.firstInode < minFirstInode || s.firstInode > s.inodes {
		return fmt.Errorf("inode %d of %d is called the first for files", s.firstInode, s.inodes)
	}
	if s.incompat&incompatInlineData != 0 && s.inodeSize == goodOldInodeSize {
		return errors.New("data in inodes that have no room for it")
	}
	return nil
}
