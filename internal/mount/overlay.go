package mount

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// OverlayOptions are an overlay. Its layers are open folders, in the caller's
// mount namespace or of trees of the same Mounter; they stay the caller's, who can
// close them, and the trees, once the overlay is made.
type OverlayOptions struct {
	// Lower are the layers that are only read, the topmost first: MaxLayers at
	// most. The kernel wants two of them, one if there is an Upper; what is
	// missing is made up for with an empty one.
	Lower []*os.File
	// Upper takes what is written, and Work is an empty folder for the kernel on
	// the same mount. Both or none.
	Upper, Work *os.File
	// Source is what mountinfo shows as the source; "" is "overlay".
	Source string
	// Flags are of the overlay itself: those that its layers were mounted with
	// don't carry over.
	Flags Flags
	// Options are more options: words, or "key=value". Without Upper there is
	// nothing that needs one.
	Options []string
}

// ErrOverlap is wrapped where a layer lies inside of another, or is another.
// Overlap says which ones, Isolate helps.
var ErrOverlap = errors.New("layers overlap")

// Overlay makes an overlay. On failure nothing of it stays. The error wraps a
// *LimitError where a limit of the kernel is the reason.
func (m *Mounter) Overlay(o OverlayOptions) (*Tree, error) {
	if o.Source == "" {
		o.Source = "overlay"
	}
	tree, err := m.overlay(o)
	if err != nil {
		return nil, fmt.Errorf("mounting an overlay of %d layers: %w", len(o.Lower), m.reason(o, err))
	}
	return tree, nil
}

func (m *Mounter) overlay(o OverlayOptions) (_ *Tree, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	wanted := 2
	if o.Upper != nil {
		wanted = 1
	}
	for len(o.Lower) < wanted {
		empty, err := m.Tmpfs(TmpfsOptions{Mode: 0o755, Flags: ReadOnly})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, empty.Close()) }()
		dir, err := empty.Open(".")
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		o.Lower = append(slices.Clip(o.Lower), dir)
	}
	if m.detached() {
		return m.overlayFiles(o)
	}
	return m.overlayNames(o)
}

// check refuses what can be told without the kernel.
func (o OverlayOptions) check() error {
	if len(o.Lower) > MaxLayers {
		return &LimitError{Limit: Layers, Have: len(o.Lower), Max: MaxLayers}
	}
	if (o.Upper == nil) != (o.Work == nil) {
		return errors.New("a writable layer and a work folder go together")
	}
	for _, option := range o.Options {
		// mount(2) would take the rest for another option.
		if strings.ContainsAny(option, ",\x00") {
			return fmt.Errorf("option %q has a comma in it", option)
		}
	}
	if o.Upper == nil {
		return nil
	}
	a, err := mountID(o.Upper)
	if err != nil {
		return err
	}
	b, err := mountID(o.Work)
	if err != nil {
		return err
	}
	if a != b {
		return fmt.Errorf("the work folder %q is on another mount than the writable layer %q: %w", o.Work.Name(), o.Upper.Name(), unix.EXDEV)
	}
	return nil
}

// overlayFiles hands the kernel its layers as file descriptors.
func (m *Mounter) overlayFiles(o OverlayOptions) (*Tree, error) {
	c, err := beginCreation("overlay")
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.set("source=" + o.Source); err != nil {
		return nil, err
	}
	for _, layer := range o.Lower {
		if err := c.setFolder("lowerdir+", layer); err != nil {
			return nil, err
		}
	}
	if o.Upper != nil {
		if err := errors.Join(c.setFolder("upperdir", o.Upper), c.setFolder("workdir", o.Work)); err != nil {
			return nil, err
		}
	}
	root, err := c.finish(o)
	if err != nil {
		return nil, err
	}
	return m.adopt(root)
}

// finish sets what is no layer, and makes the mount.
func (c *creation) finish(o OverlayOptions) (*os.File, error) {
	options := o.Options
	if o.Flags&ReadOnly != 0 {
		options = append([]string{"ro"}, options...)
	}
	for _, option := range options {
		if err := c.set(option); err != nil {
			return nil, err
		}
	}
	return c.mount(o.Flags)
}

// setFolder sets key to the folder that f is open on. It is opened anew: of
// files that were opened without reading the kernel takes no layer before 6.15.
func (c *creation) setFolder(key string, f *os.File) error {
	dir, err := reopen(f)
	if err != nil {
		return fmt.Errorf("opening layer %q: %w", f.Name(), err)
	}
	defer dir.Close()
	return c.explain(fmt.Sprintf("adding layer %q", f.Name()), unix.FsconfigSetFd(c.fd, key, int(dir.Fd())))
}

// reason explains why the kernel refused an overlay, which says EINVAL for most.
func (m *Mounter) reason(o OverlayOptions, err error) error {
	switch {
	case errors.Is(err, unix.ELOOP):
		return fmt.Errorf("%w: %w", ErrOverlap, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return privileged(err)
	case errors.Is(err, unix.EROFS) && o.Upper != nil:
		return hint.Wrap(err, "put the writable layer on a file system that can be written to")
	case !errors.Is(err, unix.EINVAL):
		return err
	}
	layers := o.Lower
	if o.Upper != nil {
		layers = append(slices.Clip(layers), o.Upper)
	}
	for _, layer := range layers {
		// One that cannot be measured is no reason.
		if depth, tried := m.Depth(layer); tried == nil && depth >= MaxDepth {
			return hint.Wrap(errors.Join(&LimitError{Limit: Depth, Have: depth + 1, Max: MaxDepth, Path: layer.Name()}, err),
				"take a layer from a file system that is not itself an overlay of overlays")
		}
	}
	return hint.Wrap(err, "see what the kernel says about it (dmesg)")
}
