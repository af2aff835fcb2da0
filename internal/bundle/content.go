package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"inlay/internal/tree"
)

// contentBuffer is what is read at a time, in bytes; as many zeros become a hole.
const contentBuffer = 64 << 10

// contents takes the content of files while layers are read, before it is known
// where in the tree they will be: each file gets a number for a name. It
// implements [tree.Sink].
type contents struct {
	folder *os.File
	attrs  *attributes
	last   uint64
	buffer []byte
	zeros  []byte
}

func newContents(folder *os.File, a *attributes) *contents {
	return &contents{folder: folder, attrs: a, buffer: make([]byte, contentBuffer), zeros: make([]byte, contentBuffer)}
}

// number names the file that ref stands for.
func number(ref uint64) string { return strconv.FormatUint(ref, 10) }

// next returns an unused number.
func (c *contents) next() uint64 {
	c.last++
	return c.last
}

// Store implements [tree.Sink].
func (c *contents) Store(name string, ino *tree.Inode, r io.Reader) error {
	if ino.Ref != 0 {
		// It is stored again, under another name: to a folder that is the same.
		if err := unix.Unlinkat(int(c.folder.Fd()), number(ino.Ref), 0); err != nil {
			return err
		}
	}
	ref := c.next()
	base := number(ref)
	fd, err := unix.Openat(int(c.folder.Fd()), base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	err = c.write(f, ino.Size, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	ino.Ref = ref
	return c.attrs.set(c.folder, base, name, ino)
}

// write copies size bytes, and leaves holes where there are only zeros.
func (c *contents) write(f *os.File, size int64, r io.Reader) error {
	for at := int64(0); at < size; {
		part := c.buffer[:min(size-at, contentBuffer)]
		if _, err := io.ReadFull(r, part); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if !bytes.Equal(part, c.zeros[:len(part)]) {
			if _, err := f.WriteAt(part, at); err != nil {
				return err
			}
		}
		at += int64(len(part))
	}
	return f.Truncate(size)
}
