package verify

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// Given is an extension that somebody has found and opened.
type Given struct {
	// Path is for people.
	Path string
	// Name and Kind are what it goes by where it was found.
	Name string
	Kind *extension.Kind
	// File is an image or a block device; Folder is a folder. One of them is nil.
	File   *os.File
	Folder *os.Root
	// Beside are paths of the image below Root: what is called like one of them,
	// but for the end of its name, may state a root hash. Links are followed
	// inside of Root.
	Root   *os.Root
	Beside []string
}

// From makes a Subject of what is open already, and takes it over: it is closed
// with the Subject, or now if there is an error.
func From(g Given) (*Subject, error) {
	s := &Subject{Path: g.Path, Name: g.Name, Kind: g.Kind, Folder: g.Folder}
	if g.Folder != nil {
		s.closers = []io.Closer{g.Folder}
		return s, nil
	}
	s.closers = []io.Closer{g.File}
	info, err := g.File.Stat()
	if err == nil {
		err = s.measure(g.File, info)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Fault = s.attributes(g.File)
	for _, path := range g.Beside {
		s.Fault = errors.Join(s.Fault, s.beside(path, g.open))
	}
	return s, nil
}

// open opens a file beside the image. A link to nothing is nothing, as it is to
// [Open].
func (g Given) open(name string) (*os.File, error) {
	f, err := rooted.Open(g.Root, name)
	if errors.Is(err, rooted.ErrDangling) {
		return nil, fs.ErrNotExist
	}
	return f, err
}
