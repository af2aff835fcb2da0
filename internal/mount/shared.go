package mount

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Shared mounts the file system of the type kind on device, a path to a block
// device, as one that others may have mounted, too: then it is the same one, as
// writable as theirs. Where nobody has, it is read-only, until Writable. Unlike
// FileSystem it has a journal replayed, as any mount does. What flags take from
// it, they take from this mount alone.
func (m *Mounter) Shared(device, kind string, flags Flags) (*Tree, error) {
	tree, err := m.shared(device, kind, flags|NoDev, "ro")
	if errors.Is(err, unix.EBUSY) {
		// Somebody has it mounted writable. The kernel has one state for all.
		tree, err = m.shared(device, kind, flags|NoDev, "rw")
	}
	if err != nil {
		return nil, fmt.Errorf("mounting %q as %s: %w", device, kind, privileged(err))
	}
	return tree, nil
}

func (m *Mounter) shared(device, kind string, flags Flags, state string) (*Tree, error) {
	if !m.features.Trees {
		if state == "ro" {
			flags |= ReadOnly
		}
		return m.mountOld(device, kind, flags, "")
	}
	// As an option, and not as a flag of the mount: that one would stay.
	root, err := create(kind, device, flags&^ReadOnly, []string{state})
	if err != nil {
		return nil, err
	}
	tree, err := m.adopt(root)
	if err == nil && flags&ReadOnly != 0 {
		if err = tree.Restrict(ReadOnly); err != nil {
			err = errors.Join(err, tree.Close())
		}
	}
	return tree, err
}

// IsWritable says whether the file system can be written to, whatever the flags
// of this mount are.
func (t *Tree) IsWritable() (bool, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(t.root.Fd()), &stat); err != nil {
		return false, fmt.Errorf("looking at a mount: %w", err)
	}
	return stat.Flags&unix.ST_RDONLY == 0, nil
}

// Writable makes the file system of a tree that came from Shared writable, for
// everybody who has it mounted, or read-only again; the latter is refused while a
// file of it is open for writing.
func (t *Tree) Writable(writable bool) error {
	if t.root == nil {
		return fmt.Errorf("changing a mount: %w", errGone)
	}
	state := "ro"
	if writable {
		state = "rw"
	}
	var err error
	if t.m.features.Trees {
		err = reconfigure(int(t.root.Fd()), state)
	} else {
		err = t.remountOld(writable)
	}
	if err != nil {
		return fmt.Errorf("changing a mount to %s: %w", state, privileged(err))
	}
	return nil
}

// reconfigure gives the file system of the mount root another state: fspick(2).
func reconfigure(root int, state string) error {
	fd, err := unix.Fspick(root, "", unix.FSPICK_EMPTY_PATH|unix.FSPICK_CLOEXEC)
	if err != nil {
		return err
	}
	c := &creation{fd: fd, name: "mounted"}
	defer c.close()
	if err := c.set(state); err != nil {
		return err
	}
	return c.explain("reconfiguring it", unix.FsconfigReconfigure(fd))
}

// remountOld is Writable by mount(2), which forgets the flags that are not said
// again.
func (t *Tree) remountOld(writable bool) error {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(t.root.Fd()), &stat); err != nil {
		return err
	}
	const same = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME
	flags := uintptr(stat.Flags)&same | unix.MS_REMOUNT
	if !writable {
		flags |= unix.MS_RDONLY
	}
	return unix.Mount("", t.m.stage.at(t.name), "", flags, "")
}
