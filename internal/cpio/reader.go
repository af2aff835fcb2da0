package cpio

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Reader reads an archive, strictly: what Writer would not write is an error.
type Reader struct {
	r    io.Reader
	at   int64
	left int64 // of the entry's content
	done bool
}

// NewReader reads the archive in r.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next goes to the next entry, whatever was left of the one before. It returns
// io.EOF at the end of the archive, behind which only zeros may follow.
func (r *Reader) Next() (*Header, error) {
	if r.done {
		return nil, io.EOF
	}
	if _, err := io.CopyN(io.Discard, r, r.left); err != nil {
		return nil, truncated(err)
	}
	if err := r.skip(); err != nil {
		return nil, err
	}
	h, err := r.header()
	if err != nil {
		return nil, fmt.Errorf("reading a cpio archive at %d: %w", r.at, err)
	}
	if h.Name == trailer {
		r.done = true
		return nil, r.end()
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("reading %q: %w", h.Name, err)
	}
	r.left = h.Size
	return h, nil
}

// Read reads content of the entry.
func (r *Reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
	r.at += int64(n)
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 {
		return n, io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (r *Reader) header() (*Header, error) {
	var raw [headerSize]byte
	if err := r.full(raw[:]); err != nil {
		return nil, err
	}
	if string(raw[:len(magic)]) != magic {
		return nil, fmt.Errorf("%q is no header", raw[:len(magic)])
	}
	var field [13]uint32
	for i := range field {
		at := len(magic) + 8*i
		n, err := strconv.ParseUint(string(raw[at:at+8]), 16, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", raw[at:at+8])
		}
		field[i] = uint32(n)
	}
	length := field[11]
	if length < 2 || length > maxName {
		return nil, fmt.Errorf("a name of %d bytes", length)
	}
	name := make([]byte, length)
	if err := r.full(name); err != nil {
		return nil, err
	}
	if name[length-1] != 0 {
		return nil, errors.New("a name without end")
	}
	h := &Header{
		Name: string(name[:length-1]), Inode: field[0], Mode: field[1], UID: field[2], GID: field[3], Links: field[4],
		MTime: int64(field[5]), Size: int64(field[6]), Major: field[9], Minor: field[10],
	}
	return h, r.skip()
}

// skip reads the zeros up to the next multiple of four.
func (r *Reader) skip() error {
	pad := make([]byte, (align-r.at%align)%align)
	if err := r.full(pad); err != nil {
		return err
	}
	for _, b := range pad {
		if b != 0 {
			return errors.New("the padding is not zero")
		}
	}
	return nil
}

// end sees that nothing but zeros follows.
func (r *Reader) end() error {
	buf := make([]byte, blockSize)
	for {
		n, err := r.r.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return errors.New("something follows the end of a cpio archive")
			}
		}
		if err != nil {
			return err // io.EOF, unless reading fails
		}
	}
}

func (r *Reader) full(p []byte) error {
	n, err := io.ReadFull(r.r, p)
	r.at += int64(n)
	return truncated(err)
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
