package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// ErrNotMounted is wrapped where a path is no mount point, or another mount than
// the expected one is there.
var ErrNotMounted = errors.New("not mounted there")

// How says in which way a mount was replaced.
type How string

// The ways to replace a mount.
const (
	// Beneath: the new tree was mounted beneath the old one, which was then
	// detached from above it. Every path led to one of them at every moment.
	Beneath How = "beneath"
	// Gap: the old tree was detached and the new one attached. In between, for
	// microseconds, or milliseconds on a busy machine, paths led to what lies
	// below both.
	Gap How = "gap"
)

// Replaced is what Replace did.
type Replaced struct {
	How How
	// Why is why there was a gap, nil if there was none.
	Why error
	// Old is a clone of the tree that was replaced, submounts and all, by which
	// Replace can bring it back. Its file systems stay busy until it is closed.
	Old *Tree
}

// Replace mounts the tree t in place of the topmost mount at path, which must be
// a mount point and no link to one. On failure the old tree is there as before, but for one case: if the new one could not be
// attached in the gap, it is a clone of the old tree that is attached again.
//
// Where the mount around path is shared, its peers and slaves, in other mount
// namespaces too, see the same change in the same way. Namespaces that receive
// nothing, and bind mounts of the old tree at other places, keep it: Holders finds
// them.
func (m *Mounter) Replace(path string, t *Tree) (_ *Replaced, err error) {
	if t.used || t.root == nil {
		return nil, fmt.Errorf("replacing mount %q: %w", path, errGone)
	}
	top, err := openMount(path)
	if err != nil {
		return nil, fmt.Errorf("replacing mount: %w", err)
	}
	defer top.Close()
	if err := sameKind(top, t.root); err != nil {
		return nil, fmt.Errorf("replacing mount %q: %w", path, err)
	}
	old, err := m.CloneFile(top, true)
	if err != nil {
		return nil, fmt.Errorf("replacing mount: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, old.Close())
		}
	}()
	ready, err := t.ready()
	if err != nil {
		return nil, fmt.Errorf("replacing mount %q: %w", path, err)
	}
	defer ready.drop()
	why := m.replaceBeneath(top, ready)
	if why == nil {
		return &Replaced{How: Beneath, Old: old}, nil
	}
	if t.used {
		return nil, hint.Wrap(fmt.Errorf("replacing mount %q: the new one lies beneath the old one, which stays: %w", path, why),
			fmt.Sprintf("unmount %q once", path))
	}
	gone, err := swap(top, ready, path)
	if err != nil {
		err = fmt.Errorf("replacing mount %q: %w", path, err)
		if gone {
			err = errors.Join(err, old.AttachTo(path))
		}
		return nil, err
	}
	return &Replaced{How: Gap, Why: why, Old: old}, nil
}

// replaceBeneath replaces the mount top without a gap.
func (m *Mounter) replaceBeneath(top *os.File, ready *loose) error {
	if !m.features.Beneath || !m.features.Trees {
		return errors.New("this kernel cannot mount beneath another mount (Linux 6.5 can)")
	}
	if err := ready.beneath(top); err != nil {
		// EINVAL for a mount on the first root of a namespace, as in an
		// initramfs, for one that must stay where it is, and for one that lies
		// on a peer of its own.
		return fmt.Errorf("mounting beneath it: %w", err)
	}
	return unmount(top)
}

// unmount detaches the mount whose root f is open on, and no other that may lie
// on it or be there by now. It is gone from the tree at once, and altogether when
// nobody uses it any more.
func unmount(f *os.File) error { return unix.Unmount(procPath(f), unix.MNT_DETACH) }

// openMount opens the root of the topmost mount at path.
func openMount(path string) (*os.File, error) {
	f, err := openPath(path)
	if err != nil {
		return nil, err
	}
	info, err := InfoOf(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	// The kernel's own word for where that is, without links.
	at, err := os.Readlink(procPath(f))
	if err == nil && at != info.MountPoint {
		err = fmt.Errorf("%q: %w", path, ErrNotMounted)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// InfoOf returns the mount that f is on.
func InfoOf(f *os.File) (Info, error) {
	id, err := mountID(f)
	if err != nil {
		return Info{}, err
	}
	mounts, err := Mounts()
	if err != nil {
		return Info{}, err
	}
	for _, info := range mounts {
		if info.ID == id {
			return info, nil
		}
	}
	return Info{}, fmt.Errorf("%q is on a mount that cannot be seen from here: %w", f.Name(), ErrNotMounted)
}

// PropagationOf returns the propagation of the mount that path is on, which is
// that of what gets mounted there.
func PropagationOf(path string) (Propagation, error) {
	f, err := openPath(filepath.Clean(path))
	if err != nil {
		return Propagation{}, err
	}
	defer f.Close()
	info, err := InfoOf(f)
	return info.Propagation, err
}

// Detach unmounts the topmost mount at path, with what is mounted on it, if it is
// of the device dev; otherwise it leaves it alone and the error wraps
// ErrNotMounted. What lay below is there again, with its own submounts. It works
// while files are in use: they stay usable for whoever has them open.
func Detach(path string, dev Device) error {
	f, err := openMount(path)
	if err != nil {
		return fmt.Errorf("unmounting: %w", err)
	}
	defer f.Close()
	there, err := DeviceOf(f)
	if err != nil {
		return err
	}
	if there != dev {
		return fmt.Errorf("unmounting %q: device %v is there, not %v: %w", path, there, dev, ErrNotMounted)
	}
	if err := unmount(f); err != nil {
		return fmt.Errorf("unmounting %q: %w", path, privileged(err))
	}
	return nil
}
