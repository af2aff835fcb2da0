package mount

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// overlayNames hands the kernel its layers as names: clones of them are mounted
// in the staging place as 0, 1, 2 …, which makes them short, and the overlay is
// made there. Five hundred of them are below two kilobytes, of the four that
// mount(2) takes.
func (m *Mounter) overlayNames(o OverlayOptions) (_ *Tree, err error) {
	s, err := m.place()
	if err != nil {
		return nil, err
	}
	// The overlay keeps clones of its own.
	var staged []*Tree
	defer func() {
		for _, tree := range staged {
			err = errors.Join(err, tree.Close())
		}
	}()
	stage := func(dir *os.File) (string, error) {
		tree, err := m.clone(dir, false)
		if err != nil {
			return "", fmt.Errorf("staging layer %q: %w", dir.Name(), err)
		}
		staged = append(staged, tree)
		return tree.name, nil
	}
	var lower []string
	for _, layer := range o.Lower {
		name, err := stage(layer)
		if err != nil {
			return nil, err
		}
		lower = append(lower, name)
	}
	var upper, work string
	if o.Upper != nil {
		base, err := commonFolder(o.Upper, o.Work)
		if err != nil {
			return nil, err
		}
		defer base.dir.Close()
		name, err := stage(base.dir)
		if err != nil {
			return nil, err
		}
		upper, work = path.Join(name, base.a), path.Join(name, base.b)
		if err := errors.Join(s.holds(upper, o.Upper), s.holds(work, o.Work)); err != nil {
			return nil, err
		}
	}
	if m.features.Trees && m.features.LowerPlus {
		return m.overlayStrings(o, lower, upper, work)
	}
	return m.overlayOld(o, lower, upper, work)
}

// overlayStrings makes the overlay with fsconfig(2), one string for a layer.
func (m *Mounter) overlayStrings(o OverlayOptions, lower []string, upper, work string) (*Tree, error) {
	var root *os.File
	err := m.stage.run(func() error {
		c, err := beginCreation("overlay")
		if err != nil {
			return err
		}
		defer c.close()
		options := []string{"source=" + o.Source}
		for _, name := range lower {
			options = append(options, "lowerdir+="+name)
		}
		if upper != "" {
			options = append(options, "upperdir="+upper, "workdir="+work)
		}
		for _, option := range options {
			if err := c.set(option); err != nil {
				return err
			}
		}
		root, err = c.finish(o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return m.adopt(root)
}

// overlayOld makes the overlay with mount(2).
func (m *Mounter) overlayOld(o OverlayOptions, lower []string, upper, work string) (*Tree, error) {
	options := []string{"lowerdir=" + strings.Join(lower, ":")}
	if upper != "" {
		for _, name := range []string{upper, work} {
			// They could be escaped, in a way that changed between versions.
			if strings.ContainsAny(name, `,:\`) {
				return nil, fmt.Errorf("the writable layer %q has a comma, a colon or a backslash in its name, which this kernel cannot take", name)
			}
		}
		options = append(options, "upperdir="+upper, "workdir="+work)
	}
	text := strings.Join(append(options, o.Options...), ",")
	if len(text) > maxPage {
		return nil, &LimitError{Limit: OptionPage, Have: len(text), Max: maxPage}
	}
	s := m.stage
	name, err := s.name(true)
	if err != nil {
		return nil, err
	}
	err = s.run(func() error { return unix.Mount(o.Source, name, "overlay", o.Flags.old(), text) })
	if errors.Is(err, unix.ENODEV) {
		err = unknownType("overlay", err)
	}
	if err != nil {
		return nil, errors.Join(err, s.drop(name))
	}
	return m.adoptName(name)
}

// base is a folder and two names below it.
type base struct {
	dir  *os.File
	a, b string
}

// commonFolder returns the deepest folder that a and b are both below. The
// kernel wants the writable layer and the work folder on one mount, so that it is
// the folder around both which has to be cloned.
func commonFolder(a, b *os.File) (*base, error) {
	x, err := os.Readlink(procPath(a))
	if err != nil {
		return nil, fmt.Errorf("asking where %q is: %w", a.Name(), err)
	}
	y, err := os.Readlink(procPath(b))
	if err != nil {
		return nil, fmt.Errorf("asking where %q is: %w", b.Name(), err)
	}
	names, others := strings.Split(x, "/"), strings.Split(y, "/")
	shared := 0
	for shared < min(len(names), len(others))-1 && names[shared] == others[shared] {
		shared++
	}
	// Upwards from the open folder, not down from the root: what the path names
	// may be covered, or in another namespace.
	up := strings.Repeat("../", len(names)-shared)
	fd, err := unix.Openat(int(a.Fd()), up, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the folder around %q: %w", x, err)
	}
	return &base{
		dir: os.NewFile(uintptr(fd), strings.Join(names[:shared], "/")),
		a:   strings.Join(names[shared:], "/"), b: strings.Join(others[shared:], "/"),
	}, nil
}

// holds makes sure that name, in the staging place, is what f is open on.
func (s *stage) holds(name string, f *os.File) error {
	staged, err := walk(s.dir, name)
	if err != nil {
		return err
	}
	defer staged.Close()
	same, err := sameFile(staged, f)
	if err == nil && !same {
		err = fmt.Errorf("%q moved or is covered by another mount", f.Name())
	}
	return err
}
