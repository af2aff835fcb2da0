package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"inlay/internal/version"
)

// Image is an image of the store, or what links make of one that is gone.
type Image struct {
	// FileName is what it goes by in the store, Name what systemd calls it,
	// Version the part of that name that is one, or "".
	FileName string
	Name     string
	Version  string
	// Path is where the file lies below the root, free of links.
	Path    string
	Size    int64
	ModTime time.Time
	// Profiles are those that a link to the image lies in, in their order.
	Profiles []Profile
	// Linked says that the run folder has a link to the image.
	Linked bool
	// Record is what is remembered of this very file; nil if nothing is.
	Record *Record
	// Missing says that there is no such file: the links lead nowhere.
	Missing bool

	identity Identity
}

// Images returns the images of the store, in the order in which systemd stacks
// them, the lowest first. Nothing is read of the images themselves. What is
// wrong with the store is told by Problems, and no error.
func (s *Store) Images() ([]Image, error) {
	sc, err := s.scan()
	if err != nil {
		return nil, err
	}
	if err := s.remembered(sc); err != nil {
		return nil, err
	}
	return sc.sorted(), nil
}

func (sc *scan) sorted() []Image {
	all := make([]Image, 0, len(sc.images))
	for _, image := range sc.images {
		all = append(all, *image)
	}
	slices.SortFunc(all, func(a, b Image) int {
		return cmp.Or(version.Compare(a.Name, b.Name), cmp.Compare(a.FileName, b.FileName))
	})
	return all
}

// OpenImage opens an image for reading. It is the file that Images has seen,
// or an error.
func (s *Store) OpenImage(image Image) (*os.File, error) {
	if image.Missing || s.dir == nil {
		return nil, fmt.Errorf("opening %q: %w", image.FileName, ErrNotFound)
	}
	return s.openSeen(image.FileName, image)
}

// openSeen opens what lies under a name, if it is still what image was made from.
func (s *Store) openSeen(name string, image Image) (*os.File, error) {
	f, err := openRegular(s.dir, name, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path.Join(s.at, name), err)
	}
	info, err := f.Stat()
	var is Identity
	if err == nil {
		is, err = identify(info)
	}
	if err == nil && !is.equal(image.identity) {
		err = errors.New("the file was exchanged meanwhile")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %q: %w", path.Join(s.at, name), err), f.Close())
	}
	return f, nil
}

// replaced returns what lies under a name in the store that a step is to
// replace, and whether it has a record that counts.
func (s *Store) replaced(name string) (was *entry, sealed bool, err error) {
	info, err := s.dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := s.dir.Readlink(name)
		return &entry{Link: target}, false, err
	case !info.Mode().IsRegular():
		return nil, false, fmt.Errorf("%q is there, and no file", path.Join(s.at, name))
	}
	is, err := identify(info)
	return &entry{Inode: is.Inode}, s.hasRecord(name, info), err
}
