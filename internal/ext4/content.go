package ext4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Open returns the content of a regular file: exactly n.Size bytes, or an error.
// Holes and blocks that were only reserved are zeros, so that a small image can
// hold very large files: whoever reads all must be able to stop.
func (f *FileSystem) Open(n *Inode) (io.Reader, error) {
	r, err := f.openRegular(n)
	if err != nil {
		return nil, fmt.Errorf("opening ext4 inode %d: %w", n.Ref.ino, err)
	}
	return r, nil
}

func (f *FileSystem) openRegular(n *Inode) (io.Reader, error) {
	if err := n.check(typeRegular); err != nil {
		return nil, err
	}
	if n.flags&flagVerity != 0 {
		return nil, &Unsupported{"fs-verity"}
	}
	if n.flags&flagInlineData != 0 {
		return f.openInline(n)
	}
	return f.openData(n)
}

// openData reads what a file of any type holds.
func (f *FileSystem) openData(n *Inode) (io.Reader, error) {
	if n.flags&flagInlineData != 0 {
		data, err := f.inlineData(n)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(data), nil
	}
	runs, err := f.blocksOf(n)
	if err != nil {
		return nil, err
	}
	return &content{f: f, ino: n.Ref.ino, runs: runs, size: n.Size}, nil
}

// Readlink returns the target of a symbolic link: at least one byte, and no NUL
// among them.
func (f *FileSystem) Readlink(n *Inode) (string, error) {
	target, err := f.readlink(n)
	if err == nil && (len(target) == 0 || bytes.IndexByte(target, 0) >= 0) {
		err = errors.New("a target that is empty or has a zero byte")
	}
	if err != nil {
		return "", fmt.Errorf("reading link of ext4 inode %d: %w", n.Ref.ino, err)
	}
	return string(target), nil
}

func (f *FileSystem) readlink(n *Inode) ([]byte, error) {
	if err := n.check(typeLink); err != nil {
		return nil, err
	}
	// Linux reads one block and wants a zero behind the target.
	if n.Size >= f.super.blockSize {
		return nil, fmt.Errorf("a target of %d bytes", n.Size)
	}
	if n.flags&flagInlineData == 0 && f.isFastLink(n) {
		if n.Size >= mapSize {
			return nil, fmt.Errorf("a target of %d bytes in %d", n.Size, mapSize)
		}
		return n.blockMap()[:n.Size], nil
	}
	r, err := f.openData(n)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
