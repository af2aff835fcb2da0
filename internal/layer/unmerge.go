package layer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"inlay/internal/extension"
	"inlay/internal/mount"
)

// Unmerge implements Engine.
func (n *Native) Unmerge(ctx context.Context, k extension.Kind, o RunOptions) (*Result, error) {
	return n.locked(ctx, k, func(before *Report) (*Result, error) {
		var hierarchies []string
		if before != nil {
			for _, h := range before.Hierarchies {
				hierarchies = append(hierarchies, h.Path)
			}
		}
		old, err := n.find(ctx, k, hierarchies)
		if err != nil {
			return nil, err
		}
		return n.unmerge(ctx, k, old, before, o)
	})
}

// unmerge takes down what is merged: all that can be, whatever becomes of the rest.
func (n *Native) unmerge(ctx context.Context, k extension.Kind, old []merge, before *Report, o RunOptions) (*Result, error) {
	r := &Result{Engine: EngineNative}
	var wanted wishes
	if !o.NoReload {
		wanted = n.wishesOfMerged(k, old)
	}
	m := n.newMounter()
	var errs []error
	// The innermost first.
	slices.SortFunc(old, func(a, b merge) int { return cmp.Compare(len(b.path), len(a.path)) })
	for _, h := range old {
		lost, err := n.takeAll(m, k, h)
		r.Warnings = append(r.Warnings, lost...)
		if err != nil {
			errs = append(errs, fmt.Errorf("unmerging %q: %w", h.Path, err))
			continue
		}
		r.Unmerged = append(r.Unmerged, h.Path)
	}
	slices.Sort(r.Unmerged)
	errs = append(errs, m.Close())
	if before != nil {
		errs = append(errs, n.sweep(k, before))
	}
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	r.Warnings = append(r.Warnings, n.reload(ctx, wanted)...)
	return r, removeReport(n.root, k)
}

// takeAll takes down every merge of a hierarchy: a refresh that was killed may have
// left two.
func (n *Native) takeAll(m *mount.Mounter, k extension.Kind, h merge) ([]Warning, error) {
	var all []Warning
	for range maxStacked {
		work, err := workOf(n.root, h.place, k)
		if err != nil {
			return all, err
		}
		lost, err := n.detach(m, h, k)
		all = append(all, lost...)
		if err != nil {
			return all, err
		}
		if err := dropWork(n.root, k, work); err != nil {
			return all, err
		}
		dev, merged, err := marked(h.path, k)
		if err != nil || !merged {
			return all, err
		}
		h.device = dev
	}
	return all, fmt.Errorf("more than %d merges lie on each other", maxStacked)
}

// detach unmounts a merge, and mounts again what was mounted on it since it was
// made. What can't be is returned.
func (n *Native) detach(m *mount.Mounter, h merge, k extension.Kind) ([]Warning, error) {
	trees, infos, err := lostBelow(m, h.path, markerFolder(k))
	if err != nil {
		return nil, err
	}
	if err := mount.Detach(h.path, h.device); err != nil {
		return nil, errors.Join(err, closeAll(trees))
	}
	return restore(h.path, trees, infos), closeAll(trees)
}

// unstack takes away all merges of a hierarchy but the lowest, which is the newest:
// what a refresh leaves that was killed when the new one lay beneath the old one.
func (n *Native) unstack(k extension.Kind, report *Report) error {
	mounts, err := mount.Mounts()
	if err != nil {
		return err
	}
	for _, h := range report.Hierarchies {
		place := h.Place
		for n.stackedAt(mounts, k, place) > 1 {
			dev, merged, err := marked(n.at(place), k)
			if err != nil {
				return err
			}
			if !merged {
				break
			}
			if err := mount.Detach(n.at(place), dev); err != nil {
				return err
			}
			if mounts, err = mount.Mounts(); err != nil {
				return err
			}
		}
	}
	return nil
}

// stackedAt counts the merges of a kind that lie on each other at a place.
func (n *Native) stackedAt(mounts []mount.Info, k extension.Kind, place string) int {
	count := 0
	for _, info := range mounts {
		if info.MountPoint == n.at(place) && info.Root == "/" && mergeOf(info, k) {
			count++
		}
	}
	return count
}

// sweep removes folders that a merge made, and that none uses any more.
func (n *Native) sweep(k extension.Kind, report *Report) error {
	merged, err := n.find(context.Background(), k, nil)
	if err != nil {
		return err
	}
	var used []string
	for _, m := range merged {
		work, err := workOf(n.root, m.place, k)
		if err != nil {
			return err
		}
		used = append(used, work)
	}
	for _, work := range report.Work {
		if slices.Contains(used, work) || !isWork(work) {
			continue
		}
		if err := dropWork(n.root, k, work); err != nil {
			return err
		}
	}
	return removeMade(n, report.Made)
}

// isBusy says that a folder cannot be removed as somebody needs it, or there is
// something in it.
func isBusy(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.EROFS)
}
