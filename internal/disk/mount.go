package disk

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"inlay/internal/mount"
)

// Mounted is a file system that is used here, and that Close lets go of.
type Mounted struct {
	// Root is its root folder.
	Root *os.Root
	// At is where the running system sees it, without a leading slash; "" if
	// only this process does.
	At string

	system  *os.Root // the running one
	device  Device
	kind    string
	mounter *mount.Mounter
	tree    *mount.Tree // nil where it was mounted before
	turned  bool        // made writable by us
}

// stagingFolder is where mounts wait on kernels before Linux 5.2, below the
// running system's root.
const stagingFolder = "run/inlay/mounts"

// Mount makes the file system of a device usable, read-only: where the running
// system below root has it mounted, right there, else by a mount that nobody else
// sees. kind is what FileSystem says.
func Mount(root *os.Root, d Device, kind string) (*Mounted, error) {
	at, _, err := d.MountedAt(root)
	if err != nil {
		return nil, err
	}
	if at != "" {
		folder, err := root.OpenRoot(at)
		if err != nil {
			return nil, fmt.Errorf("opening %q, where %q is mounted: %w", "/"+at, d.Node(), err)
		}
		return &Mounted{Root: folder, At: at, system: root, device: d, kind: kind}, nil
	}
	return private(root, d, kind, mount.NoDev|mount.NoSuid|mount.NoExec)
}

// MountAt mounts the file system of a device read-only in the folder at, which is
// made below root and must not be a link; Close leaves it there.
func MountAt(root *os.Root, d Device, kind, at string) (*Mounted, error) {
	m, err := private(root, d, kind, mount.ReadOnly|mount.NoDev|mount.NoSuid|mount.NoExec)
	if err != nil {
		return nil, err
	}
	if err = root.MkdirAll(at, 0o755); err == nil {
		err = m.tree.AttachTo(filepath.Join(root.Name(), filepath.FromSlash(at)))
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.At = at
	return m, nil
}

func private(root *os.Root, d Device, kind string, flags mount.Flags) (*Mounted, error) {
	m := &Mounted{system: root, device: d, kind: kind, mounter: mount.New(mount.Options{
		Features: mount.Detect(), Staging: filepath.Join(root.Name(), stagingFolder),
	})}
	var err error
	// The node is looked up by the kernel: by the name that it has in this process.
	if m.tree, err = m.mounter.Shared(path.Join(root.Name(), d.Node()), kind, flags); err == nil {
		m.Root, err = m.tree.Root()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Writable makes it writable, until Close. What others have mounted read-only is
// writable for them meanwhile, unless their mount forbids it.
func (m *Mounted) Writable() error {
	if m.tree == nil {
		_, writable, err := m.device.MountedAt(m.system)
		if err != nil || writable {
			return err
		}
		own, err := private(m.system, m.device, m.kind, mount.NoDev|mount.NoSuid|mount.NoExec)
		if err != nil {
			return err
		}
		_ = m.Root.Close() // it was only read
		*m = *own
	}
	writable, err := m.tree.IsWritable()
	if err != nil || writable {
		return err
	}
	if err := m.tree.Writable(true); err != nil {
		return err
	}
	m.turned = true
	return nil
}

// Detach lets go of all but the root folder, which is the caller's from then on:
// for what MountAt has mounted, which stays.
func (m *Mounted) Detach() *os.Root {
	root := m.Root
	m.Root = nil
	_ = m.Close() // the mount is attached
	return root
}

// Sync writes all of the file system through to the disk.
func (m *Mounted) Sync() error {
	f, err := m.Root.Open(".")
	if err != nil {
		return fmt.Errorf("syncing a file system: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("syncing a file system: %w", err)
	}
	return nil
}

// Close lets go of it; what was read-only before is so again.
func (m *Mounted) Close() error {
	var errs []error
	if m.turned {
		errs = append(errs, m.Sync(), m.tree.Writable(false))
	}
	if m.Root != nil {
		errs = append(errs, m.Root.Close())
	}
	if m.tree != nil {
		errs = append(errs, m.tree.Close())
	}
	if m.mounter != nil {
		errs = append(errs, m.mounter.Close())
	}
	return errors.Join(errs...)
}
