package ext4

import (
	"encoding/binary"
	"fmt"
)

// inodeTable returns the block in which the inodes of a group begin.
func (f *FileSystem) inodeTable(group uint64) (uint64, error) {
	table, err := f.findInodeTable(group)
	if err != nil {
		return 0, fmt.Errorf("reading descriptor of group %d: %w", group, err)
	}
	return table, nil
}

func (f *FileSystem) findInodeTable(group uint64) (uint64, error) {
	s := &f.super
	perBlock := uint64(s.blockSize / s.descriptorSize)
	block, err := f.block(s.descriptorBlock(group / perBlock))
	if err != nil {
		return 0, err
	}
	d := block[int64(group%perBlock)*s.descriptorSize:][:s.descriptorSize]
	le := binary.LittleEndian
	if s.sums() {
		c := sum32(s.seed, uint32(group))
		c = sum(sum(sum(c, d[:0x1e]), []byte{0, 0}), d[0x20:])
		if uint16(c) != le.Uint16(d[0x1e:]) {
			return 0, errSum
		}
	}
	table := uint64(le.Uint32(d[0x8:]))
	if s.descriptorSize >= 64 {
		table |= uint64(le.Uint32(d[0x28:])) << 32
	}
	length := uint64((int64(s.inodesPerGroup)*s.inodeSize + s.blockSize - 1) / s.blockSize)
	return table, s.checkBlocks(table, length)
}

// descriptorBlock returns the number of the nth block of group descriptors.
func (s *superblock) descriptorBlock(n uint64) uint64 {
	if s.incompat&incompatMetaGroups == 0 || n < s.firstMetaGroup {
		return s.superBlock() + 1 + n
	}
	// It lies in the first of the groups that it describes, after the copy of
	// the superblock if that group has one.
	group := n * uint64(s.blockSize/s.descriptorSize)
	at := s.firstDataBlock + group*s.blocksPerGroup
	if s.hasSuperblock(group) {
		at++
	}
	if n == 0 && s.blockSize == 1024 && s.firstDataBlock == 0 {
		at++ // the superblock is block 1
	}
	return at
}

// hasSuperblock says whether a group begins with a copy of the superblock.
func (s *superblock) hasSuperblock(group uint64) bool {
	switch {
	case group == 0:
		return true
	case s.compat&compatSparseSuper2 != 0:
		return group == uint64(s.backupGroups[0]) || group == uint64(s.backupGroups[1])
	case s.ro&roSparseSuper == 0:
		return true
	}
	return isPower(group, 3) || isPower(group, 5) || isPower(group, 7)
}

func isPower(n, base uint64) bool {
	p := uint64(1)
	for p < n {
		p *= base
	}
	return p == n
}
