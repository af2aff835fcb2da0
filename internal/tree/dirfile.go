package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// fileContent opens a file when it is first read, and sees that it is the file
// whose attributes were given, whole and unchanged.
type fileContent struct {
	dir  *os.Root
	base string
	name string
	info fs.FileInfo
	left int64
	file *os.File
}

func (c *fileContent) Read(p []byte) (int, error) {
	if c.file == nil {
		if err := c.open(); err != nil {
			return 0, err
		}
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.file.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	switch {
	case err == io.EOF && c.left > 0:
		return n, changed(c.name)
	case err != nil && err != io.EOF:
		return n, unreadable(c.name, err)
	}
	return n, nil
}

func (c *fileContent) open() error {
	f, err := c.dir.OpenFile(c.base, os.O_RDONLY|nonblocking, 0)
	if err != nil {
		return unreadable(c.name, err)
	}
	c.file = f
	return c.check()
}

// check compares the open file with what was known before it was opened.
func (c *fileContent) check() error {
	now, err := c.file.Stat()
	if err != nil {
		return unreadable(c.name, err)
	}
	if !os.SameFile(now, c.info) || now.Size() != c.info.Size() || !now.ModTime().Equal(c.info.ModTime()) {
		return changed(c.name)
	}
	return nil
}

// close checks once more what was read.
func (c *fileContent) close() error {
	if c.file == nil {
		return nil
	}
	return errors.Join(c.check(), c.file.Close())
}
