package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
	"inlay/internal/rooted"
)

// view is the system without what is merged of a kind.
type view struct {
	root *os.Root
	// apart is the mount namespace that root belongs to; nil if it is the caller's,
	// as nothing is merged.
	apart   *mount.Apart
	merged  []merge
	closers []func() error
}

// maxStacked bounds how many merges are taken to lie on each other. There is one,
// or two where a refresh was killed in the middle of it.
const maxStacked = 64

// lookBeneath makes a view of the system for a request.
func (n *Native) lookBeneath(ctx context.Context, r *Request) (*view, error) {
	merged, err := n.find(ctx, r.Kind, absolute(r.Hierarchies))
	if err != nil {
		return nil, err
	}
	if len(merged) == 0 {
		return &view{root: n.root}, nil
	}
	if !n.features().Trees {
		return nil, hint.Wrap(errors.New("this kernel cannot merge anew what is merged (Linux 5.2 can)"), "unmerge first, then merge")
	}
	apart, err := mount.NewApart()
	if err != nil {
		return nil, err
	}
	v := &view{apart: apart, merged: merged}
	err = v.within(func() error {
		for _, m := range merged {
			if err := lay(m.path, r.Kind); err != nil {
				return err
			}
		}
		v.root, err = os.OpenRoot(n.base + "/")
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("looking beneath what is merged: %w", err), v.close())
	}
	v.closers = append(v.closers, v.root.Close)
	return v, nil
}

// absolute leaves out words such as "kairos".
func absolute(hierarchies []string) []string {
	var all []string
	for _, h := range hierarchies {
		if path.IsAbs(h) {
			all = append(all, h)
		}
	}
	return all
}

// lay lays bare what is beneath every merge of a kind at path.
func lay(at string, k extension.Kind) error {
	for range maxStacked {
		dev, merged, err := marked(at, k)
		if err != nil || !merged {
			return err
		}
		if err := mount.Detach(at, dev); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d merges lie on each other at %q", maxStacked, at)
}

// marked says whether what is to be seen at a path is a merge of a kind, and of
// which device.
func marked(at string, k extension.Kind) (mount.Device, bool, error) {
	root, err := os.OpenRoot(at)
	if absent(err) {
		return mount.Device{}, false, nil
	}
	if err != nil {
		return mount.Device{}, false, err
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return mount.Device{}, false, err
	}
	defer dir.Close()
	dev, err := mount.DeviceOf(dir)
	if err != nil {
		return mount.Device{}, false, err
	}
	text, err := rooted.ReadFile(root, path.Join(markerFolder(k), markDevice), maxMarker)
	if absent(err) {
		return dev, false, nil
	}
	return dev, err == nil && isText(text, dev.String()), err
}

// within runs fn where the view's root belongs.
func (v *view) within(fn func() error) error {
	if v == nil || v.apart == nil {
		return fn()
	}
	return v.apart.Run(fn)
}

func (v *view) close() error {
	var errs []error
	for _, c := range v.closers {
		errs = append(errs, c())
	}
	if v.apart != nil {
		errs = append(errs, v.apart.Close())
	}
	return errors.Join(errs...)
}

// locate says where a merged hierarchy is.
func (n *Native) locate(h Hierarchy) (merge, error) {
	place, err := rooted.Resolve(n.root, h.Path)
	if err != nil {
		return merge{}, fmt.Errorf("looking for hierarchy %q: %w", h.Path, err)
	}
	dir, err := n.root.Open(place)
	if err != nil {
		return merge{}, fmt.Errorf("opening hierarchy %q: %w", h.Path, err)
	}
	defer dir.Close()
	dev, err := mount.DeviceOf(dir)
	return merge{Hierarchy: h, place: place, path: n.at(place), device: dev}, err
}

// at is where a place below the root is in this mount namespace.
func (n *Native) at(place string) string { return n.base + "/" + place }

// Home runs fn with the root folder of the running system as process pid sees it:
// in its mount namespace, where that is another than the caller's. A merge that
// was asked for in a service's or a shell's own namespace would be seen by nobody
// else. What fn opens there stays valid after it. The error is fn's, or a
// *mount.NamespaceError when fn was not run.
func Home(pid int, fn func(root *os.Root) error) error {
	return mount.InNamespaceOf(pid, func() error {
		root, err := os.OpenRoot("/")
		if err != nil {
			return fmt.Errorf("opening the root folder: %w", err)
		}
		defer root.Close()
		return fn(root)
	})
}
