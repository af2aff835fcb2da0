package squashfs

// At returns an inode's place: its metadata block in the inode table << 16, and
// the byte in its content.
func (r Ref) At() uint64 { return r.at }
