// Package rooted reads files of a system that lies below a folder: the running
// one, a mounted disk, an initrd's new root. Links are followed as they would be
// after a change of the root folder, absolute ones from its top, which is how
// their author meant them; [os.Root] refuses those. That a link leads above the
// root is an error, where a real change of the root would stay at its top.
//
// Whoever wrote these files may be hostile: all that is read is bounded, and no
// call waits for the other end of a FIFO or for a device. Names have slashes, and
// may begin with one.
//
// Left out on purpose: writing, walking, and files outside of a root.
package rooted

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// ErrDangling says that a name is there, and is a link to what is not. It is not
// fs.ErrNotExist: somebody wanted the name to mean something.
var ErrDangling = errors.New("a link to what is not there")

// Open opens a regular file for reading.
func Open(root *os.Root, name string) (*os.File, error) {
	clean, err := Resolve(root, name)
	if err != nil {
		return nil, err
	}
	info, err := root.Lstat(clean)
	if errors.Is(err, fs.ErrNotExist) && clean != cleaned(name) {
		return nil, ErrDangling
	}
	if err != nil {
		return nil, err
	}
	if err := checkRegular(info); err != nil {
		return nil, err
	}
	// Between the look and the opening the file may be replaced by anything.
	f, err := root.OpenFile(clean, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = checkRegular(info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkRegular(info fs.FileInfo) error {
	switch kind := info.Mode(); {
	case kind.IsDir():
		return errors.New("a folder, not a file")
	case !kind.IsRegular():
		return errors.New("not a regular file")
	}
	return nil
}

// ReadFile reads a regular file of at most limit bytes; a larger one is an error.
// That the name is not there is fs.ErrNotExist.
func ReadFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := Open(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, limit)
}

// ReadAll reads all of a file that [Open] has opened, at most limit bytes.
func ReadAll(f *os.File, limit int64) ([]byte, error) {
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.Size() > limit {
		return nil, fmt.Errorf("%d bytes: too large, at most %d are read", info.Size(), limit)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("more than %d bytes: too large", limit)
	}
	return b, nil
}

// ReadNames returns the names in a folder, sorted bytewise; more than limit are
// an error. That the folder is not there is fs.ErrNotExist.
func ReadNames(root *os.Root, name string, limit int) ([]string, error) {
	clean, err := Resolve(root, name)
	if err != nil {
		return nil, err
	}
	// Nothing but a folder opens with O_DIRECTORY: no FIFO, no device.
	f, err := root.OpenFile(clean, os.O_RDONLY|unix.O_NONBLOCK|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(limit + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > limit {
		return nil, fmt.Errorf("more than %d names", limit)
	}
	slices.Sort(names)
	return names, nil
}
