package verify

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/gpt"
	"inlay/internal/hint"
)

// Bounds on the files that lie beside an image.
const (
	maxStatement = 1 << 10  // a root hash is 64 digits and a newline
	maxSignature = 64 << 10 // as internal/cms has it
)

// Subject is what is to be verified: an image file or block device, or a folder.
type Subject struct {
	// Path is for people. The base name of it tells the extension's name.
	Path string
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
	switch mode := info.Mode(); {
	case mode.IsDir():
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, err
		}
		s.Folder = root
		s.closers = append(s.closers, root)
		return s, nil
	case mode.IsRegular():
		s.Size = info.Size()
	case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		s.Device = true
		if s.Size, err = f.Seek(0, io.SeekEnd); err != nil {
			return nil, fmt.Errorf("measuring %q: %w", path, err)
		}
	default:
		return nil, hint.Wrap(fmt.Errorf("%q is neither a file, a folder nor a block device", path),
			"name an extension, such as the NAME.sysext.raw that inlay build makes")
	}
	s.Image = f
	if err := s.attributes(f); err != nil {
		return nil, err
	}
	if err := s.beside(path); err != nil {
		return nil, errors.Join(err, s.closeBeside())
	}
	return s, nil
}

// Close closes what Open opened.
func (s *Subject) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// closeBeside closes all but the image itself.
func (s *Subject) closeBeside() error {
	rest := Subject{closers: s.closers[1:]}
	return rest.Close()
}

// designators are the partitions that a root hash can be of, in the words that
// the names of files and attributes are made with.
func designators() []string { return []string{gpt.Root, gpt.Usr} }

// attributes reads the root hashes that systemd takes from extended attributes
// of the image file.
func (s *Subject) attributes(f *os.File) error {
	for _, designator := range designators() {
		attribute := "user.verity." + designator + "hash"
		b := make([]byte, maxStatement)
		n, err := unix.Fgetxattr(int(f.Fd()), attribute, b)
		switch {
		case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM):
			// None, or a file system or a kind of file that has none.
		case err != nil:
			return fmt.Errorf("reading attribute %s of %q: %w", attribute, f.Name(), err)
		default:
			s.Statements = append(s.Statements, Statement{attribute, designator, string(b[:n])})
		}
	}
	return nil
}

// beside reads the files that systemd looks for beside an image: those that
// have the image's name with another ending in place of ".raw".
func (s *Subject) beside(path string) error {
	stem := strings.TrimSuffix(path, ".raw")
	for _, designator := range designators() {
		word := "." + designator + "hash"
		text, err := readBeside(stem+word, maxStatement)
		if err != nil {
			return err
		}
		if text != nil {
			s.Statements = append(s.Statements, Statement{filepath.Base(stem + word), designator, string(text)})
		}
		der, err := readBeside(stem+word+".p7s", maxSignature)
		if err != nil {
			return err
		}
		if der != nil {
			s.Signatures = append(s.Signatures, Detached{filepath.Base(stem + word + ".p7s"), designator, der})
		}
	}
	f, size, err := openBeside(stem + ".verity")
	if err != nil || f == nil {
		return err
	}
	s.closers = append(s.closers, f)
	s.Tree = &External{filepath.Base(stem + ".verity"), f, size}
	return nil
}

// openBeside opens a file beside the image; nil if there is none.
func openBeside(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", path)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// readBeside reads a file beside the image; nil if there is none.
func readBeside(path string, most int64) ([]byte, error) {
	f, size, err := openBeside(path)
	if err != nil || f == nil {
		return nil, err
	}
	defer f.Close()
	if size > most {
		return nil, fmt.Errorf("%q has %d bytes, at most %d are accepted", path, size, most)
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return b, nil
}
