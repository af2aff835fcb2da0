package mount

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Below returns a tree of what the topmost mount at path covers: the folder of the
// mount around it, or another mount. It is a clone, without what is mounted on it.
// So a stack can be made anew from what it was first made of, while it stays.
func (m *Mounter) Below(path string) (*Tree, error) {
	tree, err := m.below(path)
	if err != nil {
		return nil, fmt.Errorf("looking below mount %q: %w", path, err)
	}
	return tree, nil
}

func (m *Mounter) below(path string) (*Tree, error) {
	top, err := openMount(path)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	info, err := InfoOf(top)
	if err != nil {
		return nil, err
	}
	mounts, err := Mounts()
	if err != nil {
		return nil, err
	}
	// The mount that was there before any other at this place.
	stacked := false
	for _, other := range mounts {
		stacked = stacked || (other.ID == info.Parent && other.MountPoint == info.MountPoint)
	}
	around, err := openPath(filepath.Dir(info.MountPoint))
	if err != nil {
		return nil, err
	}
	defer around.Close()
	tree, err := m.clone(around, stacked)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(info.MountPoint)
	if stacked {
		// There is no way to a mount that is covered but to uncover it: in a
		// copy, where nobody sees it.
		if err := m.uncover(tree, name); err != nil {
			return nil, errors.Join(err, tree.Close())
		}
	}
	covered, err := walk(tree.root, name)
	if err != nil {
		return nil, errors.Join(err, tree.Close())
	}
	defer covered.Close()
	clone, err := m.clone(covered, false)
	return clone, errors.Join(err, tree.Close())
}

// uncover unmounts the topmost mount at the name of a tree.
func (m *Mounter) uncover(tree *Tree, name string) error {
	if tree.name == "" {
		// Nothing can be unmounted that is attached nowhere.
		staged, err := m.stageRoot(tree.root)
		if err != nil {
			return err
		}
		tree.name = staged
	}
	return m.stage.run(func() error {
		top, err := walk(tree.root, name)
		if err != nil {
			return err
		}
		defer top.Close()
		if err := unix.Fchdir(int(top.Fd())); err != nil {
			return err
		}
		err = unix.Unmount(".", unix.MNT_DETACH)
		return errors.Join(err, unix.Fchdir(int(m.stage.dir.Fd())))
	})
}
