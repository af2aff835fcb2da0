package content

import "io"

// Fake is a file of a file system that answers whatever a test likes.
type Fake struct {
	File
	Inode   any // of its own if nil
	Names   []string
	Files   []*Fake
	Text    io.Reader
	Panics  bool
	Failing error
}

// NewFake returns the tree below root.
func NewFake(root *Fake) *Tree { return &Tree{kind: "fake", root: (*fakeNode)(root)} }

type fakeNode Fake

func (f *fakeNode) id() any {
	if f.Inode != nil {
		return f.Inode
	}
	return f
}

func (f *fakeNode) stat() (*File, error) {
	if f.Panics {
		panic("out of range")
	}
	file := f.File
	return &file, f.Failing
}

func (f *fakeNode) children() ([]child, error) {
	var list []child
	for i, name := range f.Names {
		list = append(list, child{name, (*fakeNode)(f.Files[i])})
	}
	return list, nil
}

func (f *fakeNode) open() (io.ReadCloser, error) { return io.NopCloser(f.Text), nil }
