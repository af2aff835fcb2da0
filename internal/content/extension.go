package content

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/hint"
)

// Forms of an extension, for people and programs.
const (
	DiskImage  = "disk image"
	FileSystem = "file system" // in a file of its own, without a partition table
	AFolder    = "folder"
)

// notAnExtension is advice for whoever named another file.
const notAnExtension = "name an extension: a disk image, such as the NAME.sysext.raw that inlay build makes, a file system or a folder"

// Extension is an opened extension of any form.
type Extension struct {
	Form string
	// Size of the file or block device in bytes; 0 for a folder.
	Size int64
	// Image is nil if there is no partition table.
	Image *ddi.Image
	// Naked is the file system itself, if there is no partition table; else nil.
	Naked *io.SectionReader

	tree    *Tree
	treeErr error
	closers []io.Closer
}

// OpenExtension opens what lies at path: a disk image or a file system, in a
// file or on a block device, or a folder. Files that it cannot read are an error
// of Tree alone. The caller closes it.
func OpenExtension(path string) (*Extension, error) {
	// Opening a pipe for reading must not wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	e := &Extension{closers: []io.Closer{f}}
	if err := e.open(path, f); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Extension) open(path string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		root, err := os.OpenRoot(path)
		if err != nil {
			return err
		}
		e.closers = append(e.closers, root)
		e.Form, e.tree = AFolder, Folder(root)
		return nil
	case mode.IsRegular():
		e.Size = info.Size()
	case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		if e.Size, err = f.Seek(0, io.SeekEnd); err != nil {
			return fmt.Errorf("measuring %q: %w", path, err)
		}
	default:
		return hint.Wrap(fmt.Errorf("%q is neither a file, a folder nor a block device", path), notAnExtension)
	}
	if err := e.read(f); err != nil {
		return fmt.Errorf("reading %q: %w", path, hint.Default(err, notAnExtension))
	}
	return nil
}

func (e *Extension) read(f *os.File) (err error) {
	e.Image, err = ddi.Open(f, e.Size)
	if err == nil {
		e.Form = DiskImage
		section := e.Image.FileSystem()
		e.tree, e.treeErr = Open(section, section.Size())
		if e.treeErr == nil && e.Image.Designator == gpt.Usr {
			e.tree = e.tree.Under(gpt.Usr)
		}
		return nil
	}
	if kind, _ := Probe(f, e.Size); kind == "" || !errors.Is(err, gpt.ErrNoTable) {
		return err
	}
	e.Form, e.Naked = FileSystem, io.NewSectionReader(f, 0, e.Size)
	e.tree, e.treeErr = Open(e.Naked, e.Size)
	return nil
}

// Tree returns the files. The error is an *Unread for a file system that is not
// read.
func (e *Extension) Tree() (*Tree, error) { return e.tree, e.treeErr }

// Close closes what was opened. It was only read, so that there is nothing to
// say of it.
func (e *Extension) Close() {
	for _, c := range e.closers {
		_ = c.Close()
	}
}
