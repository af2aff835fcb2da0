package content

import (
	"errors"
	"fmt"
	"io"
)

// node is one inode of a tree, as the adapter of a file system has it. What it
// returns has not been checked.
type node interface {
	// id is comparable, and the same for all names of one inode.
	id() any
	// stat returns all but the path.
	stat() (*File, error)
	// children are what a folder holds, in any order.
	children() ([]child, error)
	// open returns the content of a regular file.
	open() (io.ReadCloser, error)
}

// lister is a folder that can be asked for one name without listing all. What it
// returns need not be there: then its stat says fs.ErrNotExist.
type lister interface {
	node
	child(name string) node
	// peek is stat without the extended attributes.
	peek() (*File, error)
}

// child is a name in a folder.
type child struct {
	name string
	node node
}

// guard turns a panic of a reader that is not ours into an error.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file system is damaged: %v", p)
		}
	}()
	return do()
}

// exactly gives out as many bytes as the file has by its own account. Fewer are
// an error.
type exactly struct {
	file io.ReadCloser
	left int64
}

func (e *exactly) Read(p []byte) (n int, err error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), e.left)]
	err = guard(func() (err error) {
		n, err = e.file.Read(p)
		return err
	})
	if n < 0 || n > len(p) {
		return 0, fmt.Errorf("the file system is damaged: %d bytes of %d", n, len(p))
	}
	e.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && e.left > 0:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF) && n > 0:
		err = nil
	}
	return n, err
}

func (e *exactly) Close() error { return e.file.Close() }
