package layer

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"inlay/internal/mount"
)

// metaOf makes the layer on top: the marker, and the folders that are to look as
// the host's do.
func (j *job) metaOf(s *Stack, host *os.File, w *writing) (_ *mount.Tree, _ *mark, err error) {
	meta, err := j.mounter.Tmpfs(mount.TmpfsOptions{Source: j.kind.Name, Mode: defaultMode, Flags: mount.NoDev | mount.NoSuid | mount.NoExec})
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, meta.Close())
		}
	}()
	root, err := meta.Root()
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	m := &mark{origin: j.origin, workDir: w.workDir}
	for _, i := range j.plan.Merged() {
		m.extensions = append(m.extensions, i.Name)
	}
	if host != nil {
		if m.backing, err = backingOf(host); err != nil {
			return nil, nil, err
		}
	}
	if err := m.write(root, j.kind); err != nil {
		return nil, nil, err
	}
	if err := j.mirror(s, root); err != nil {
		return nil, nil, err
	}
	return meta, m, dress(host, root, ".")
}

// mirror makes folders with the host's attributes, where an extension would change
// them.
func (j *job) mirror(s *Stack, root *os.Root) error {
	for _, f := range j.plan.Folders {
		rel, below := strings.CutPrefix(f.Path, s.Path+"/")
		// The hierarchy itself gets them anyway. What an extension has replaced stays
		// so.
		if !below || j.isReplaced(s.Path, rel) {
			continue
		}
		for at := range prefixes(rel) {
			if err := root.Mkdir(at, 0o700); errors.Is(err, os.ErrExist) {
				continue
			} else if err != nil {
				return fmt.Errorf("making folder %q as the host has it: %w", f.Path, err)
			}
			host, err := j.plan.Request.Root.Open(path.Join(s.Place, at))
			if err != nil {
				return fmt.Errorf("opening the host's folder: %w", err)
			}
			if err := errors.Join(copyAttributes(host, root, at), host.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// isReplaced says whether an extension has something else in the place of a folder
// of the host's, or of one above it.
func (j *job) isReplaced(hierarchy, rel string) bool {
	for at := range prefixes(rel) {
		if j.plan.union.vanishing[path.Join(hierarchy, at)] {
			return true
		}
	}
	return false
}

// prefixes yields "a", "a/b" and "a/b/c" of "a/b/c".
func prefixes(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == '/' && !yield(name[:i]) {
				return
			}
		}
		yield(name)
	}
}

// finish completes a tree: only now the overlay's number is known.
func (j *job) finish(b *built, meta *mount.Tree, m *mark, w *writing) error {
	var err error
	if b.device, err = b.tree.Device(); err != nil {
		return err
	}
	root, err := meta.Root()
	if err != nil {
		return err
	}
	defer root.Close()
	m.device = b.device
	// Below the overlay, which has not looked there yet.
	if err := m.seal(root, j.kind, j.now); err != nil {
		return err
	}
	if w.upper == nil {
		return nil
	}
	// What can be written to could lose its marker.
	folder := markerFolder(j.kind)
	dir, err := b.tree.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	lid, err := j.mounter.CloneFile(dir, false)
	if err != nil {
		return err
	}
	j.closers = append(j.closers, lid.Close)
	if err := lid.Restrict(mount.ReadOnly); err != nil {
		return err
	}
	return b.tree.Graft(lid, folder)
}
