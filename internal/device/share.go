package device

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// shows returns nil if the device gives out exactly the data that t stands for,
// and nothing else.
func (s *Status) shows(t VerityTable) error {
	line := t.target("")
	want, err := parseActive(line.text)
	switch {
	case err != nil:
		return err
	case !s.ReadOnly:
		return errors.New("it can be written to")
	case s.length != line.length || !slices.Equal(s.table.sums, want.sums):
		return errors.New("it has another table")
	case s.table.lax != "":
		return fmt.Errorf("it has the option %q", s.table.lax)
	case s.Corrupted:
		return errors.New("it has come upon a corrupt block")
	case t.RequireKernel && !s.KernelVerified:
		return errors.New("the kernel has not checked its signature")
	}
	return nil
}

// share opens the device of the name, which keeps it, and uses it if it gives
// out what t stands for, whatever it was made of.
func (c *control) share(name string, t VerityTable) (_ *Mapping, err error) {
	there, err := c.do(unix.DM_DEV_STATUS, request{name: name})
	if errors.Is(err, unix.ENXIO) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("asking device-mapper for it: %w", err)
	}
	if there.flags&unix.DM_ACTIVE_PRESENT_FLAG == 0 {
		return nil, errUnready
	}
	m := &Mapping{Name: name, Number: there.number, Shared: true}
	if m.file, m.path, err = mapperNode(there.number).open(unix.O_RDONLY); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.file.Close()
		}
	}()
	s, err := c.status(request{number: there.number})
	if err != nil {
		if errors.Is(err, ErrNotVerity) {
			err = taken(err)
		}
		return nil, err
	}
	if s.Name != name {
		return nil, errUnready
	}
	if err := s.shows(t); err != nil {
		return nil, taken(err)
	}
	m.KernelVerified = s.KernelVerified
	if !m.KernelVerified && len(t.Signature) > 0 {
		m.Unverified = errors.New("the device was there already, made without the signature")
	}
	return m, nil
}

// taken says why a device of the name will not do.
func taken(err error) error {
	return hint.Wrap(fmt.Errorf("%w: %w", ErrTaken, err), "see what it is with dmsetup table, and remove it with dmsetup remove")
}
