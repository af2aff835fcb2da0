package squashfs

// At returns an inode's place: its metadata block in the inode table << 16, and
// the byte in its content.
func (r Ref) At() uint64 { return r.at }

// Unpack unpacks src as the superblock's compressor is, into a block of size
// bytes at most.
func Unpack(compressor uint16, size int, src []byte) ([]byte, error) {
	u, err := newUnpacker(compressor)
	if err != nil {
		return nil, err
	}
	dst := make([]byte, size)
	n, err := guarded(u, dst, src)
	return dst[:n], err
}
