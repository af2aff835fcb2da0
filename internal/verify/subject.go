package verify

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// Subject is what is to be verified: an image file or block device, or a folder.
type Subject struct {
	// Path is for people. The base name of it tells the extension's name, unless
	// Name does, and often its kind, unless Kind does.
	Path string
	Name string
	Kind *extension.Kind
	// Image and Size are nil and 0 for a folder.
	Image io.ReaderAt
	Size  int64
	// Device says that Image is a block device, which may be longer than what
	// was written to it.
	Device bool
	// Folder is the folder of a folder extension, else nil.
	Folder *os.Root
	// Statements are root hashes stated outside of the image.
	Statements []Statement
	// Signatures are signatures stored outside of the image.
	Signatures []Detached
	// Tree is a hash partition stored outside of the image, or nil.
	Tree *External
	// Fault says what is wrong with something outside of the image that could
	// have stated a root hash: it refuses the image.
	Fault error

	closers []io.Closer
}

// Statement is a root hash in text that something outside of the image states.
type Statement struct {
	Origin     string // for people: the file's name, or the attribute's
	Designator string // gpt.Root or gpt.Usr
	Text       string
}

// Detached is a PKCS #7 signature in DER outside of the image.
type Detached struct {
	Origin     string
	Designator string
	DER        []byte
}

// External is a hash partition in a file of its own.
type External struct {
	Origin string
	Reader io.ReaderAt
	Size   int64
}

// Open opens the extension at path, a symbolic link to one included, and what
// lies beside it. The caller closes it.
func Open(path string) (*Subject, error) {
	// Opening a pipe for reading must not wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	s, err := opened(path, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// opened takes over f.
func opened(path string, f *os.File) (*Subject, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s := &Subject{Path: path, closers: []io.Closer{f}}
	if info.IsDir() {
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, err
		}
		s.Folder = root
		s.closers = append(s.closers, root)
		return s, nil
	}
	if err := s.measure(f, info); err != nil {
		return nil, err
	}
	s.Fault = errors.Join(s.attributes(f), s.beside(path, anywhere))
	if target, err := filepath.EvalSymlinks(path); err == nil && target != filepath.Clean(path) {
		// Whoever resolves the link first looks beside what it leads to.
		s.Fault = errors.Join(s.Fault, s.beside(target, anywhere))
	}
	return s, nil
}

// measure makes f the image.
func (s *Subject) measure(f *os.File, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		s.Size = info.Size()
	case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		s.Device = true
		var err error
		if s.Size, err = f.Seek(0, io.SeekEnd); err != nil {
			return fmt.Errorf("measuring %q: %w", s.Path, err)
		}
	default:
		return hint.Wrap(fmt.Errorf("%q is neither a file, a folder nor a block device", s.Path),
			"name an extension, such as the NAME.sysext.raw that inlay build makes")
	}
	s.Image = f
	return nil
}

// Close closes what Open opened.
func (s *Subject) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
