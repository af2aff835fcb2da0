package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// stubFolder is where distributions put systemd's EFI programs.
const stubFolder = "usr/lib/systemd/boot/efi"

// Program is an EFI program of systemd's.
type Program struct {
	*io.SectionReader
	// Origin says where it was found, for people.
	Origin string
	close  func()
}

// Close closes the program.
func (p *Program) Close() { p.close() }

// Program finds an EFI program of systemd's: the file given with flag or, if that
// is "", name in the source or on the build machine, whose root folder host is.
func (s *System) Program(flag, given, name, host string) (*Program, error) {
	if given != "" {
		p, err := openProgram(given, fmt.Sprintf("file %q", given))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", flag, err)
		}
		return p, nil
	}
	in := path.Join(stubFolder, name)
	if _, ok := s.Find(in); ok {
		f, err := s.Open(in)
		if err != nil {
			return nil, err
		}
		return &Program{f.SectionReader, "the source's /" + f.Name, f.Close}, nil
	}
	here := filepath.Join(host, in)
	p, err := openProgram(here, "this machine's "+here)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint.Wrap(fmt.Errorf("%s is neither in the source nor on this machine, in /%s", name, stubFolder),
			"install systemd-boot-efi here or in the source (Fedora: systemd-boot-unsigned), or name the file with "+flag)
	}
	return p, err
}

func openProgram(name, origin string) (*Program, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, errors.Join(hint.Wrap(fmt.Errorf("%q is not a regular file", name), "name the EFI program itself"), f.Close())
	}
	return &Program{io.NewSectionReader(f, 0, info.Size()), origin, func() { f.Close() }}, nil
}
