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

	"inlay/internal/cms"
	"inlay/internal/gpt"
)

// maxStatement bounds a root hash that lies beside an image: 64 digits and a
// newline.
const maxStatement = 1 << 10

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

// opener opens a file beside an image without waiting for anybody.
type opener func(path string) (*os.File, error)

// anywhere opens a file by its path on this machine.
func anywhere(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

// beside reads the files that systemd looks for beside an image: those that
// have the image's name with another ending in place of ".raw".
func (s *Subject) beside(path string, open opener) error {
	stem := strings.TrimSuffix(path, ".raw")
	for _, designator := range designators() {
		word := "." + designator + "hash"
		text, err := readBeside(open, stem+word, maxStatement)
		if err != nil {
			return err
		}
		if text != nil {
			s.Statements = append(s.Statements, Statement{filepath.Base(stem + word), designator, string(text)})
		}
		der, err := readBeside(open, stem+word+".p7s", cms.MaxSize)
		if err != nil {
			return err
		}
		if der != nil {
			s.Signatures = append(s.Signatures, Detached{filepath.Base(stem + word + ".p7s"), designator, der})
		}
	}
	f, size, err := openBeside(open, stem+".verity")
	if err != nil || f == nil {
		return err
	}
	s.closers = append(s.closers, f)
	if s.Tree != nil {
		return fmt.Errorf("two hash trees lie beside the image, %q and %q", s.Tree.Origin, stem+".verity")
	}
	s.Tree = &External{filepath.Base(stem + ".verity"), f, size}
	return nil
}

// openBeside opens a file beside the image; nil if there is none.
func openBeside(open opener, path string) (*os.File, int64, error) {
	f, err := open(path)
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
func readBeside(open opener, path string, most int64) ([]byte, error) {
	f, size, err := openBeside(open, path)
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
