package erofs

// Unpacker unpacks one cluster after the other.
type Unpacker struct{ u unpacker }

// Unpack fills dst from a cluster that was compressed so.
func Unpack(method Algorithm, dst, src []byte, partial, padded bool) error {
	return new(Unpacker).Unpack(method, dst, src, partial, padded)
}

// Unpack fills dst from a cluster that was compressed so.
func (u *Unpacker) Unpack(method Algorithm, dst, src []byte, partial, padded bool) error {
	s := imageSuper{blockSize: BlockSize}
	if padded {
		s.needs = needsPadding
	}
	return u.u.run(dst, src, run{method: method, partial: partial}, s)
}

// Rotate fills dst, which begins at start of a file, from a plain cluster.
func Rotate(dst, src []byte, start int64) error { return rotate(dst, src, start, BlockSize) }

// XXH32 is the hash that the filter of attributes' names is made with.
func XXH32(p []byte, seed uint32) uint32 { return xxh32(p, seed) }

// Places returns the bytes of the image at which an inode begins, its attributes,
// and what follows them.
func (n *Inode) Places(f *FileSystem) (inode, attributes, body int64) {
	return f.super.meta + int64(n.Handle.nid)*slotSize, n.xattrs, n.body()
}

// Runs returns where the runs of a file begin, and how many of them are a part of
// their cluster.
func (f *FileSystem) Runs(n *Inode) (starts []int64, partial int, err error) {
	m, err := f.mapping(n)
	for at := int64(0); err == nil && at < n.Size; {
		var r run
		if r, err = m.at(at); err == nil {
			starts = append(starts, r.start)
			at = r.end
			if r.partial {
				partial++
			}
		}
	}
	return starts, partial, err
}
