package ext4

import "fmt"

// cachedBlocks is how many blocks of metadata are kept: a walk comes back to the
// group descriptor, the inode table and the blocks of a block map.
const cachedBlocks = 16

type cachedBlock struct {
	number uint64 // 0 for none: block 0 is never asked for
	data   []byte
}

// checkBlocks says whether count blocks from block number first lie in the file
// system, behind its superblock.
func (s *superblock) checkBlocks(first, count uint64) error {
	if first <= s.firstDataBlock || first >= s.blocks || count > s.blocks-first {
		return fmt.Errorf("blocks %d to %d are not among the %d of the file system", first, first+count-1, s.blocks)
	}
	return nil
}

// block returns block number n of the metadata, which the caller must not
// change. It stays good when others are read.
func (f *FileSystem) block(n uint64) ([]byte, error) {
	if err := f.super.checkBlocks(n, 1); err != nil {
		return nil, err
	}
	c := &f.cache[n%cachedBlocks]
	if c.number == n {
		return c.data, nil
	}
	data := make([]byte, f.super.blockSize)
	if err := f.readAt(data, int64(n)*f.super.blockSize); err != nil {
		return nil, err
	}
	*c = cachedBlock{number: n, data: data}
	return data, nil
}
