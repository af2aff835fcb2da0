package mount

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Tree is a mount, with what is mounted on it, that waits to be attached.
// Whoever has it can use its files meanwhile, by Path; nobody else sees it. What
// is not attached is gone with Close.
type Tree struct {
	m    *Mounter
	root *os.File // of the mount; never used for reading
	name string   // in the staging place; "" if it is not there
	used bool     // attached
}

// Path returns a path to the root of the tree, which this process can use until
// Close.
func (t *Tree) Path() string { return procPath(t.root) }

// Root opens the root of the tree, which must be a folder.
func (t *Tree) Root() (*os.Root, error) {
	root, err := os.OpenRoot(t.Path())
	if err != nil {
		return nil, fmt.Errorf("opening mount: %w", err)
	}
	return root, nil
}

// Open opens the folder rel of the tree, "." for its root, to be a layer. No
// component of rel may be a link.
func (t *Tree) Open(rel string) (*os.File, error) {
	f, err := walk(t.root, rel)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dir, err := reopen(f)
	if err != nil {
		return nil, fmt.Errorf("opening folder %q: %w", rel, err)
	}
	return dir, nil
}

// Device returns the number of the file system.
func (t *Tree) Device() (Device, error) { return DeviceOf(t.root) }

// Close lets go of the tree. What was attached stays.
func (t *Tree) Close() error {
	if t.root == nil {
		return nil
	}
	err := t.root.Close()
	t.root = nil
	if t.name != "" && t.m.stage != nil {
		err = errors.Join(err, t.m.stage.drop(t.name))
		t.name = ""
	}
	return err
}

// AttachTo mounts the tree at path, whose last component must not be a link. On
// what is mounted there already it is mounted on top. Where the mount around path
// is shared, the tree appears in its peers, too.
func (t *Tree) AttachTo(path string) error {
	if t.used || t.root == nil {
		return fmt.Errorf("mounting at %q: %w", path, errGone)
	}
	place, err := openPath(path)
	if err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	defer place.Close()
	if err := sameKind(place, t.root); err != nil {
		return fmt.Errorf("mounting at %q: %w", path, err)
	}
	ready, err := t.ready()
	if err == nil {
		defer ready.drop()
		err = ready.attach(place)
	}
	if err != nil {
		return fmt.Errorf("mounting at %q: %w", path, privileged(err))
	}
	return nil
}

// loose is a tree from which one more call makes an attached one.
type loose struct {
	t    *Tree
	root *os.File // detached; nil if t has to be moved from the staging place
}

// ready does all that can be done before a tree is attached.
func (t *Tree) ready() (*loose, error) {
	switch {
	case t.name == "":
		return &loose{t: t, root: t.root}, nil
	case !t.m.features.Trees:
		return &loose{t: t}, nil
	}
	// What is attached in a namespace can leave it as a clone only.
	var clone *os.File
	err := t.m.stage.run(func() (err error) {
		clone, err = openTree(t.root, true)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &loose{t: t, root: clone}, nil
}

// attach mounts what is ready at place, on top of what is there by now.
func (l *loose) attach(place *os.File) error {
	if l.root != nil {
		const here = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
		return l.settle(unix.MoveMount(int(l.root.Fd()), "", int(place.Fd()), "", here))
	}
	return l.settle(unix.Mount(l.t.m.stage.at(l.t.name), procPath(place), "", unix.MS_MOVE, ""))
}

// beneath mounts what is ready beneath the mount whose root is top.
func (l *loose) beneath(top *os.File) error {
	if l.root == nil {
		return unix.ENOSYS
	}
	const here = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	return l.settle(unix.MoveMount(int(l.root.Fd()), "", int(top.Fd()), "", here|moveMountBeneath))
}

// settle notes that the tree is attached, if err is nil.
func (l *loose) settle(err error) error {
	if err != nil {
		return err
	}
	t := l.t
	t.used = true
	if l.root != nil && l.root != t.root {
		t.root.Close()
		t.root = l.root
	}
	if t.name != "" {
		// The attached one is what counts; at worst the other waits for Close.
		_ = t.m.stage.drop(t.name)
		t.name = ""
	}
	return nil
}

// drop gives up what is ready and was not attached.
func (l *loose) drop() {
	if l.root != nil && l.root != l.t.root {
		l.root.Close()
	}
}

// adopt takes root, a mount that is attached nowhere, as a tree.
func (m *Mounter) adopt(root *os.File) (*Tree, error) {
	if m.detached() {
		return &Tree{m: m, root: root}, nil
	}
	name, err := m.stageRoot(root)
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Tree{m: m, root: root, name: name}, nil
}

// stageRoot puts root, a mount that is attached nowhere, into the staging place.
func (m *Mounter) stageRoot(root *os.File) (string, error) {
	s, err := m.place()
	if err != nil {
		return "", err
	}
	folder, err := isFolder(root)
	if err != nil {
		return "", err
	}
	name, err := s.name(folder)
	if err != nil {
		return "", err
	}
	err = s.run(func() error {
		if err := unix.MoveMount(int(root.Fd()), "", unix.AT_FDCWD, name, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return err
		}
		// A clone of a shared mount is its peer: unmounting what is on the one
		// would unmount it on the other.
		return unix.Mount("", name, "", unix.MS_REC|unix.MS_PRIVATE, "")
	})
	if err != nil {
		return "", errors.Join(fmt.Errorf("staging a mount: %w", err), s.drop(name))
	}
	return name, nil
}

// adoptName takes what is mounted at name in the staging place as a tree.
func (m *Mounter) adoptName(name string) (*Tree, error) {
	fd, err := unix.Openat(int(m.stage.dir.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening mount: %w", err), m.stage.drop(name))
	}
	return &Tree{m: m, root: os.NewFile(uintptr(fd), name), name: name}, nil
}

// Restrict takes from the tree's topmost mount what flags name, in addition to
// what it lacks already.
func (t *Tree) Restrict(flags Flags) error {
	if t.used || t.root == nil {
		return fmt.Errorf("restricting a mount: %w", errGone)
	}
	do := func() error {
		attr := unix.MountAttr{Attr_set: flags.attributes()}
		if flags&NoAtime != 0 {
			attr.Attr_clr = unix.MOUNT_ATTR__ATIME // one of several, not a bit
		}
		return unix.MountSetattr(int(t.root.Fd()), "", unix.AT_EMPTY_PATH, &attr)
	}
	if !t.m.features.Setattr {
		do = func() error { return remount(t.name, flags) }
	}
	var err error
	if t.name == "" {
		err = do()
	} else {
		err = t.m.stage.run(do)
	}
	if err != nil {
		return fmt.Errorf("restricting a mount: %w", err)
	}
	return nil
}

// remount is Restrict by mount(2), which forgets every flag that is not said again.
func remount(path string, flags Flags) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return err
	}
	// These have the same values in statfs(2) and mount(2).
	const same = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME
	old := uintptr(stat.Flags)&same | flags.old()
	if stat.Flags&unix.ST_RELATIME != 0 && flags&NoAtime == 0 {
		old |= unix.MS_RELATIME
	}
	return unix.Mount("", path, "", unix.MS_BIND|unix.MS_REMOUNT|old, "")
}
