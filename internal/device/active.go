package device

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/verity"
)

// Status is what the kernel says of a dm-verity device.
type Status struct {
	Name, UUID string
	Number     Number
	RootHash   [verity.DigestSize]byte
	// Data and Hash are the devices below.
	Data, Hash Number
	// Corrupted says that a block was read which is not what the root hash says;
	// its reader got an I/O error.
	Corrupted bool
	// KernelVerified says that the kernel has checked the signature of the root
	// hash itself.
	KernelVerified bool
	// Deferred says that the device goes with its last user; Open counts them.
	Deferred, ReadOnly bool
	Open               int

	length uint64
	table  active
}

// Strict says that the device gives out nothing but what its root hash says, each
// time it is read: no option lets more pass.
func (s *Status) Strict() bool { return s.ReadOnly && s.table.lax == "" }

var (
	// ErrNotVerity says that a mapped device has another target.
	ErrNotVerity = errors.New("it is no dm-verity device")
	// errUnready says that a device has no table yet.
	errUnready = errors.New("it has no table yet")
)

// HaveMapper returns nil where dm-verity is to be had, else an error that is
// ErrNoMapper, says why not, and has a hint.
func HaveMapper() error {
	c, err := openControl()
	if err != nil {
		return err
	}
	defer c.close()
	// The question lets the kernel load the module. Before Linux 5.5 it can't be
	// asked, and loading a table says the rest.
	_, err = c.do(unix.DM_GET_TARGET_VERSION, request{name: verityTarget})
	if err == nil || errors.Is(err, unix.ENOTTY) {
		return nil
	}
	return hint.Wrap(fmt.Errorf("%w: asking device-mapper for the target %q: %w", ErrNoMapper, verityTarget, err),
		"load the module dm_verity, or use a kernel with CONFIG_DM_VERITY")
}

// Active returns the status of the dm-verity device of a name. fs.ErrNotExist
// says that there is none.
func Active(name string) (*Status, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("looking for dm-verity device %q: %w", name, err)
	}
	s, err := lookUp(request{name: name})
	if err != nil {
		return nil, fmt.Errorf("looking for dm-verity device %q: %w", name, err)
	}
	return s, nil
}

// ActiveAt returns the status of the dm-verity device of a number, as stat(2)
// gives it for the files on it. fs.ErrNotExist says that there is none.
func ActiveAt(number Number) (*Status, error) {
	s, err := lookUp(request{number: number})
	if err != nil {
		return nil, fmt.Errorf("looking for dm-verity device %s: %w", number, err)
	}
	return s, nil
}

func lookUp(r request) (*Status, error) {
	c, err := openControl()
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.status(r)
}

// List returns all mapped devices, of any target.
func List() ([]Listed, error) {
	c, err := openControl()
	if err != nil {
		return nil, fmt.Errorf("listing mapped devices: %w", err)
	}
	defer c.close()
	a, err := c.do(unix.DM_LIST_DEVICES, request{})
	if err != nil {
		return nil, fmt.Errorf("listing mapped devices: %w", err)
	}
	return parseNames(a.data)
}

// Remove removes the mapped device of a name, now or with its last user. It is
// no error if there is none.
func Remove(name string) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("removing mapped device %q: %w", name, err)
	}
	c, err := openControl()
	if err != nil {
		return fmt.Errorf("removing mapped device %q: %w", name, err)
	}
	defer c.close()
	if err := c.remove(name); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("removing mapped device %q: %w", name, err)
	}
	return nil
}

func (c *control) remove(name string) error {
	_, err := c.do(unix.DM_DEV_REMOVE, request{name: name, flags: unix.DM_DEFERRED_REMOVE})
	return err
}

// status asks for the table of a device and for what the target says of it.
func (c *control) status(r request) (*Status, error) {
	shown, line, err := c.table(r, unix.DM_STATUS_TABLE_FLAG)
	if err != nil {
		return nil, err
	}
	// By its number, lest another has taken its name.
	told, info, err := c.table(request{number: shown.number}, 0)
	if err != nil {
		return nil, err
	}
	if told.name != shown.name || told.uuid != shown.uuid {
		return nil, errUnready
	}
	return newStatus(shown, line, info)
}

// table returns the only target of a device.
func (c *control) table(r request, flags uint32) (*answer, target, error) {
	r.flags = flags
	a, err := c.do(unix.DM_TABLE_STATUS, r)
	if errors.Is(err, unix.ENXIO) {
		return nil, target{}, fs.ErrNotExist
	}
	if err != nil {
		return nil, target{}, fmt.Errorf("asking device-mapper for its table: %w", err)
	}
	if a.flags&unix.DM_ACTIVE_PRESENT_FLAG == 0 || a.flags&unix.DM_SUSPEND_FLAG != 0 {
		return nil, target{}, errUnready
	}
	targets, err := parseTargets(a.data, a.targets)
	if err != nil {
		return nil, target{}, err
	}
	if len(targets) != 1 || targets[0].start != 0 || targets[0].kind != verityTarget {
		return nil, target{}, ErrNotVerity
	}
	return a, targets[0], nil
}

// newStatus puts together what was answered. What cannot be read is an error,
// not a device in order.
func newStatus(a *answer, line, info target) (*Status, error) {
	table, err := parseActive(line.text)
	if err != nil {
		return nil, err
	}
	s := &Status{
		Name: a.name, UUID: a.uuid, Number: a.number,
		KernelVerified: table.key != "",
		Deferred:       a.flags&unix.DM_DEFERRED_REMOVE != 0,
		ReadOnly:       a.flags&unix.DM_READONLY_FLAG != 0,
		Open:           int(a.open),
		length:         line.length, table: table,
	}
	if root, err := hex.DecodeString(table.root()); err != nil || copy(s.RootHash[:], root) != len(s.RootHash) || len(root) != len(s.RootHash) {
		return nil, fmt.Errorf("its root hash is %q", table.root())
	}
	for _, below := range []struct {
		number *Number
		text   string
	}{{&s.Data, table.data}, {&s.Hash, table.hash}} {
		if *below.number, err = parseNumber(below.text); err != nil {
			return nil, err
		}
	}
	switch {
	case len(info.text) > 0 && info.text[0] == 'V':
	case len(info.text) > 0 && info.text[0] == 'C':
		s.Corrupted = true
	default:
		return nil, fmt.Errorf("its status is %q", info.text)
	}
	return s, nil
}
