package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FileSystem mounts the file system of the type kind on device, a path to a block
// device, read-only and without devices, and with what flags take from it
// besides. Journals are not replayed: the device may be one that cannot be
// written to, and must be left as it is.
func (m *Mounter) FileSystem(device, kind string, flags Flags) (*Tree, error) {
	flags |= ReadOnly | NoDev
	var errs []error
	for _, options := range quiet(kind) {
		tree, err := m.fileSystem(device, kind, flags, options)
		if err == nil {
			return tree, nil
		}
		errs = append(errs, err)
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	// The first attempt is the one for today's kernels; a second one that does
	// not know its option either says less.
	return nil, fmt.Errorf("mounting %q as %s: %w", device, kind, privileged(errs[0]))
}

// quiet returns the options by which a file system leaves its journal alone, to
// be tried in order.
func quiet(kind string) [][]string {
	switch kind {
	case "ext3", "ext4", "xfs":
		return [][]string{{"norecovery"}}
	case "btrfs":
		// The second name was dropped when Linux 6.8 got the first.
		return [][]string{{"rescue=nologreplay"}, {"norecovery"}}
	}
	return [][]string{nil}
}

func (m *Mounter) fileSystem(device, kind string, flags Flags, options []string) (*Tree, error) {
	if m.features.Trees {
		root, err := create(kind, device, flags, options)
		if err != nil {
			return nil, err
		}
		return m.adopt(root)
	}
	return m.mountOld(device, kind, flags, strings.Join(options, ","))
}

// create makes a mount that is attached nowhere.
func create(kind, source string, flags Flags, options []string) (*os.File, error) {
	c, err := beginCreation(kind)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if flags&ReadOnly != 0 {
		options = append([]string{"ro"}, options...)
	}
	for _, option := range append([]string{"source=" + source}, options...) {
		if err := c.set(option); err != nil {
			return nil, err
		}
	}
	return c.mount(flags)
}

// mountOld mounts in the staging place with mount(2). What source and options
// name are looked up by the caller's thread.
func (m *Mounter) mountOld(source, kind string, flags Flags, options string) (*Tree, error) {
	s, err := m.place()
	if err != nil {
		return nil, err
	}
	name, err := s.name(true)
	if err != nil {
		return nil, err
	}
	err = unix.Mount(source, s.at(name), kind, flags.old(), options)
	if errors.Is(err, unix.ENODEV) {
		err = unknownType(kind, err)
	}
	if err != nil {
		return nil, errors.Join(err, s.drop(name))
	}
	return m.adoptName(name)
}

// TmpfsOptions are how a file system in memory is made.
type TmpfsOptions struct {
	Source string      // as mountinfo shows it; "" is "tmpfs"
	Mode   fs.FileMode // permissions of its root
	Size   int64       // most bytes in it; 0 is the kernel's choice, half of the memory
	Flags  Flags
}

func (o TmpfsOptions) source() string {
	if o.Source == "" {
		return "tmpfs"
	}
	return o.Source
}

func (o TmpfsOptions) options() []string {
	options := []string{"mode=" + strconv.FormatUint(uint64(o.Mode.Perm()), 8)}
	if o.Size > 0 {
		options = append(options, "size="+strconv.FormatInt(o.Size, 10))
	}
	return options
}

// Tmpfs makes an empty file system in memory, which is gone when nobody has it
// mounted. Flags are of the mount, so that ReadOnly can be added once it is full.
func (m *Mounter) Tmpfs(o TmpfsOptions) (*Tree, error) {
	var tree *Tree
	var err error
	if m.features.Trees {
		var root *os.File
		if root, err = newTmpfs(o); err == nil {
			tree, err = m.adopt(root)
		}
	} else {
		tree, err = m.mountOld(o.source(), "tmpfs", o.Flags, strings.Join(o.options(), ","))
	}
	if err != nil {
		return nil, fmt.Errorf("mounting a tmpfs: %w", privileged(err))
	}
	return tree, nil
}

// newTmpfs makes a tmpfs that is attached nowhere.
func newTmpfs(o TmpfsOptions) (*os.File, error) {
	flags := o.Flags
	c, err := beginCreation("tmpfs")
	if err != nil {
		return nil, err
	}
	defer c.close()
	for _, option := range append([]string{"source=" + o.source()}, o.options()...) {
		if err := c.set(option); err != nil {
			return nil, err
		}
	}
	return c.mount(flags)
}
