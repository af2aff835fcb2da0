package content

import (
	"errors"
	"io"
	"time"
)

// Under returns the tree of a system that has t at /name, and nothing else: what
// is in a usr partition lies in /usr, and absolute links count on that.
func (t *Tree) Under(name string) *Tree {
	return &Tree{kind: t.kind, root: &mountPoint{child{name, t.root}}}
}

// mountPoint is a folder that holds one other.
type mountPoint struct{ held child }

func (m *mountPoint) id() any { return m }

func (m *mountPoint) stat() (*File, error) {
	return &File{Mode: TypeFolder | 0o755, Links: 3, MTime: time.Unix(0, 0)}, nil
}

func (m *mountPoint) children() ([]child, error) { return []child{m.held}, nil }

func (m *mountPoint) open() (io.ReadCloser, error) { return nil, errors.New("it is a folder") }
