package fetch

import (
	"errors"
	"io"
)

// watched remembers what went wrong in writing, which is told from what went
// wrong on the way to the file.
type watched struct {
	Destination
	err error
}

func (w *watched) WriteAt(p []byte, off int64) (int, error) {
	n, err := w.Destination.WriteAt(p, off)
	return n, w.note(err)
}

func (w *watched) Truncate(size int64) error { return w.note(w.Destination.Truncate(size)) }

func (w *watched) note(err error) error {
	if err != nil {
		w.err = err
	}
	return err
}

// kernel is a destination that a local file can be copied to without its bytes
// passing through here.
type kernel interface {
	Destination
	io.ReaderFrom
	io.ReaderAt
}

// as returns dst watched, and a kernel if it is one.
func (w *watched) as(dst Destination) Destination {
	if k, ok := dst.(kernel); ok {
		return &watchedKernel{w, k}
	}
	return w
}

type watchedKernel struct {
	*watched
	to kernel
}

// ReadFrom does not know which side an error came from: it is the copy's own.
func (w *watchedKernel) ReadFrom(r io.Reader) (int64, error) { return w.to.ReadFrom(r) }

func (w *watchedKernel) ReadAt(p []byte, off int64) (int, error) { return w.to.ReadAt(p, off) }

// memory is a destination for a small file.
type memory struct {
	b    []byte
	most int
}

var errTooLong = errors.New("it is too long")

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off != int64(len(m.b)) || len(m.b)+len(p) > m.most {
		return 0, errTooLong
	}
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memory) Truncate(size int64) error {
	m.b = m.b[:size]
	return nil
}
