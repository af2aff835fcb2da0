package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Clone returns a tree of what is at path, a mount or a folder or file of one,
// which stays where it is; with recursive, what is mounted below comes along, but
// for mounts that are unbindable. A link at path is not followed. The clone is
// private: mounts that are made or taken away on either don't show on the other,
// even where path is shared.
func (m *Mounter) Clone(path string, recursive bool) (*Tree, error) {
	f, err := openPath(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return m.CloneFile(f, recursive)
}

// CloneFile is Clone of what f is open on.
func (m *Mounter) CloneFile(f *os.File, recursive bool) (*Tree, error) {
	tree, err := m.clone(f, recursive)
	if err != nil {
		return nil, fmt.Errorf("cloning mount of %q: %w", f.Name(), privileged(err))
	}
	return tree, nil
}

func (m *Mounter) clone(f *os.File, recursive bool) (*Tree, error) {
	if !m.features.Trees {
		return m.cloneOld(f, recursive)
	}
	root, err := openTree(f, recursive)
	if errors.Is(err, unix.EINVAL) && m.stage != nil {
		// What is in the staging place can be cloned there only.
		err = m.stage.run(func() (err error) {
			root, err = openTree(f, recursive)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	if m.detached() {
		attr := unix.MountAttr{Propagation: unix.MS_PRIVATE}
		if err := unix.MountSetattr(int(root.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
			root.Close()
			return nil, fmt.Errorf("making it private: %w", err)
		}
	}
	return m.adopt(root) // which makes what is staged private
}

// openTree clones what f is open on.
func openTree(f *os.File, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH | unix.AT_NO_AUTOMOUNT)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(int(f.Fd()), "", flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// cloneOld clones with mount(2).
func (m *Mounter) cloneOld(f *os.File, recursive bool) (*Tree, error) {
	s, err := m.place()
	if err != nil {
		return nil, err
	}
	folder, err := isFolder(f)
	if err != nil {
		return nil, err
	}
	name, err := s.name(folder)
	if err != nil {
		return nil, err
	}
	flags := uintptr(unix.MS_BIND)
	if recursive {
		flags |= unix.MS_REC
	}
	if err := unix.Mount(procPath(f), s.at(name), "", flags, ""); err != nil {
		return nil, errors.Join(err, s.drop(name))
	}
	if err := unix.Mount("", s.at(name), "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		// Unmounting it now could unmount its peers. It stays until Close.
		return nil, fmt.Errorf("making it private: %w", err)
	}
	return m.adoptName(name)
}

// Graft mounts sub on the tree at rel, which must be there, a folder for a folder
// and a file for a file, and be reached through no link. sub is used up.
func (t *Tree) Graft(sub *Tree, rel string) error {
	if t.used || t.root == nil || sub.used || sub.root == nil {
		return fmt.Errorf("mounting at %q of a tree: %w", rel, errGone)
	}
	place, err := walk(t.root, rel)
	if err != nil {
		return err
	}
	defer place.Close()
	if err := sameKind(place, sub.root); err != nil {
		return fmt.Errorf("mounting at %q of a tree: %w", rel, err)
	}
	const here = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	move := func() error { return unix.MoveMount(int(sub.root.Fd()), "", int(place.Fd()), "", here) }
	switch {
	case sub.name == "":
		err = move()
	case t.m.features.Trees:
		err = t.m.stage.run(move)
	default:
		err = unix.Mount(t.m.stage.at(sub.name), procPath(place), "", unix.MS_MOVE, "")
	}
	if err != nil {
		return fmt.Errorf("mounting at %q of a tree: %w", rel, err)
	}
	sub.used = true
	if sub.name != "" {
		err = t.m.stage.drop(sub.name)
		sub.name = ""
	}
	return err
}
