package ext4

import "encoding/binary"

// isFastLink says whether a link's target stands where other inodes have the map
// of their blocks. There is no flag: Linux looks whether the inode has blocks
// other than that of its attributes.
func (f *FileSystem) isFastLink(n *Inode) bool {
	s := &f.super
	if s.incompat&incompatXattrInode != 0 {
		return n.Size < mapSize // blocks of attributes may be counted there too
	}
	le := binary.LittleEndian
	blocks := uint64(le.Uint32(n.raw[0x1c:]))
	if s.ro&roHugeFile != 0 {
		blocks |= uint64(le.Uint16(n.raw[0x74:])) << 32
		if n.flags&flagHuge != 0 {
			blocks *= uint64(s.blockSize / 512)
		}
	}
	if n.xattrBlock != 0 {
		return blocks == uint64(s.clusterSize/512)
	}
	return blocks == 0
}
