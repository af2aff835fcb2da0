package fetch

import "errors"

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
