package layer

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/mount"
)

// carry clones what is mounted below a hierarchy into its new tree, so that it is
// there at every moment. Those below the old tree stay, unseen, and are there
// again once it is unmerged.
func (j *job) carry(b *built) error {
	mounts, err := mount.Mounts()
	if err != nil {
		return err
	}
	for _, sub := range mount.Submounts(mounts, b.path) {
		rel := strings.TrimPrefix(sub.MountPoint, b.path+"/")
		if rel == markerFolder(j.kind) || j.replaces(sub.MountPoint) {
			continue
		}
		if err := j.graft(b, sub, rel); err != nil {
			return fmt.Errorf("taking along what is mounted at %q: %w", sub.MountPoint, err)
		}
	}
	return nil
}

func (j *job) graft(b *built, sub mount.Info, rel string) error {
	if sub.Propagation.Unbindable {
		j.warn(hint.Wrap(fmt.Errorf("what is mounted at %q cannot be taken along, and is hidden by the merge: it is unbindable", sub.MountPoint),
			"mount --make-private "+sub.MountPoint))
		return nil
	}
	clone, err := j.mounter.Clone(sub.MountPoint, true)
	if err != nil {
		return err
	}
	j.closers = append(j.closers, clone.Close)
	err = b.tree.Graft(clone, rel)
	if absent(err) {
		// It was mounted on a folder of an extension that is gone.
		j.warn(hint.Wrap(fmt.Errorf("what is mounted at %q is hidden by the merge: there is no such folder any more", sub.MountPoint),
			"unmount it before, or keep the extension that has the folder"))
		return nil
	}
	return err
}

// replaces says whether a merge at path goes with this one.
func (j *job) replaces(path string) bool {
	for _, m := range j.old {
		if m.path == path {
			return true
		}
	}
	return false
}

// lostBelow returns clones of what is mounted below a merged hierarchy, by the path
// below it, to be put back when the hierarchy is unmerged.
func lostBelow(m *mount.Mounter, at, marker string) (map[string]*mount.Tree, map[string]mount.Info, error) {
	mounts, err := mount.Mounts()
	if err != nil {
		return nil, nil, err
	}
	trees, infos := map[string]*mount.Tree{}, map[string]mount.Info{}
	for _, sub := range mount.Submounts(mounts, at) {
		rel := strings.TrimPrefix(sub.MountPoint, at+"/")
		if rel == marker || sub.Propagation.Unbindable {
			continue
		}
		clone, err := m.Clone(sub.MountPoint, true)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("keeping what is mounted at %q: %w", sub.MountPoint, err), closeAll(trees))
		}
		trees[rel], infos[rel] = clone, sub
	}
	return trees, infos, nil
}

// restore mounts again what was mounted below a hierarchy while it was merged. What
// was there before is there already.
func restore(at string, trees map[string]*mount.Tree, infos map[string]mount.Info) []Warning {
	mounts, err := mount.Mounts()
	if err != nil {
		return []Warning{{Text: err.Error()}}
	}
	there := map[string]mount.Info{}
	for _, sub := range mount.Submounts(mounts, at) {
		there[sub.MountPoint] = sub
	}
	var lost []Warning
	for rel, tree := range trees {
		to, was := path.Join(at, rel), infos[rel]
		if is, found := there[to]; found && is.Device == was.Device && is.Root == was.Root {
			continue
		}
		if err := tree.AttachTo(to); err != nil {
			lost = append(lost, Warning{Text: fmt.Sprintf("what was mounted at %q is gone with the merge: %v", to, err), Hints: hint.Of(err)})
		}
	}
	return lost
}

func closeAll(trees map[string]*mount.Tree) error {
	var errs []error
	for _, t := range trees {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}
