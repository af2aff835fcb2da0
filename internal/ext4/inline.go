package ext4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// inlineData returns a copy of what a link or folder holds in its inode.
func (f *FileSystem) inlineData(n *Inode) ([]byte, error) {
	data, err := f.inlineRoom(n)
	if err != nil {
		return nil, err
	}
	if n.Size > int64(len(data)) {
		return nil, fmt.Errorf("%d bytes in an inode with %d", n.Size, len(data))
	}
	return data[:n.Size], nil
}

// openInline reads a regular file in its inode. It may be longer than the inode
// has room, with zeros at the end: mkfs.ext4 packs files so that are one hole.
func (f *FileSystem) openInline(n *Inode) (io.Reader, error) {
	data, err := f.inlineRoom(n)
	if err != nil {
		return nil, err
	}
	data = data[:min(n.Size, int64(len(data)))]
	zeros := &content{f: f, ino: n.Ref.ino, pos: int64(len(data)), size: n.Size, noMore: true}
	return io.MultiReader(bytes.NewReader(data), zeros), nil
}

// inlineRoom returns a copy of all that an inode has room for: the map's 60
// bytes, and then the value of a hidden attribute.
func (f *FileSystem) inlineRoom(n *Inode) ([]byte, error) {
	entries, err := f.xattrsInInode(n)
	if err != nil {
		return nil, err
	}
	data := slices.Clone(n.blockMap())
	for _, e := range entries {
		if e.isData() {
			data = append(data, e.value...)
		}
	}
	return data, nil
}

// readInlineFolder lists a folder that lies in its inode: the number of its
// parent, entries up to the map's end, and entries in the attribute.
func (f *FileSystem) readInlineFolder(l *listing, n *Inode) error {
	data, err := f.inlineData(n)
	if err != nil {
		return err
	}
	if len(data) < mapSize {
		return fmt.Errorf("a folder of %d bytes in an inode", len(data))
	}
	if err := l.checkParent(binary.LittleEndian.Uint32(data)); err != nil {
		return err
	}
	if err := l.entries(data[4:mapSize]); err != nil {
		return err
	}
	return l.entries(data[mapSize:])
}
