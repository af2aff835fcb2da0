package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/mount"
)

// step is what has been put into place, and how that is undone.
type step struct {
	what string
	undo func() error
}

// commit puts the trees into place, in the caller's mount namespace, and takes away
// what is merged and no longer wanted, which it returns. On failure everything is
// as it was.
func (j *job) commit(ctx context.Context) (gone []merge, err error) {
	if err := j.makeFolders(); err != nil {
		return nil, err
	}
	for _, b := range j.trees {
		if err := j.carry(b); err != nil {
			return nil, fmt.Errorf("merging into %q: %w", b.stack.Path, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var done []step
	defer func() {
		if err == nil {
			return
		}
		for _, s := range slices.Backward(done) {
			if undo := s.undo(); undo != nil {
				err = errors.Join(err, fmt.Errorf("undoing what was done to %q: %w", s.what, undo))
			}
		}
	}()
	// Other hierarchies first: they may lie around one that is merged now.
	for _, m := range j.old {
		if slices.ContainsFunc(j.trees, func(b *built) bool { return b.path == m.path }) {
			continue
		}
		s, err := j.takeDown(m)
		if err != nil {
			return nil, err
		}
		done, gone = append(done, s), append(gone, m)
	}
	for _, b := range j.trees {
		s, err := j.place(b)
		if err != nil {
			return nil, fmt.Errorf("merging into %q: %w", b.stack.Path, err)
		}
		done = append(done, s)
	}
	return gone, nil
}

// place puts one tree into place.
func (j *job) place(b *built) (step, error) {
	s := step{what: b.path}
	if j.fault != nil {
		if err := j.fault(b.path); err != nil {
			return s, err
		}
	}
	if !slices.ContainsFunc(j.old, func(m merge) bool { return m.path == b.path }) {
		s.undo = func() error { return mount.Detach(b.path, b.device) }
		return s, b.tree.AttachTo(b.path)
	}
	replaced, err := j.mounter.Replace(b.path, b.tree)
	if err != nil {
		return s, err
	}
	j.closers = append(j.closers, replaced.Old.Close)
	if replaced.How == mount.Gap {
		j.warn(fmt.Errorf("for an instant, %q was not merged: %w", b.path, replaced.Why))
	}
	s.undo = func() error {
		back, err := j.mounter.Replace(b.path, replaced.Old)
		if err != nil {
			return err
		}
		return back.Old.Close()
	}
	return s, nil
}

// takeDown takes away a merge whose hierarchy is no longer one.
func (j *job) takeDown(m merge) (step, error) {
	s := step{what: m.path}
	old, err := j.mounter.Clone(m.path, true)
	if err != nil {
		return s, err
	}
	j.closers = append(j.closers, old.Close)
	lost, err := j.detach(j.mounter, m, j.kind)
	if err != nil {
		return s, err
	}
	j.warnings = append(j.warnings, lost...)
	s.undo = func() error { return old.AttachTo(m.path) }
	return s, nil
}

// makeFolders makes the hierarchies that the host doesn't have.
func (j *job) makeFolders() error {
	for _, b := range j.trees {
		if !b.stack.Missing {
			continue
		}
		if err := j.root.MkdirAll(b.stack.Place, defaultMode); err != nil {
			return hint.Wrap(fmt.Errorf("making hierarchy %q, which the host doesn't have: %w", b.stack.Path, err),
				fmt.Sprintf("make the folder %q, or leave it out of the hierarchies", b.path))
		}
	}
	return nil
}

// missing returns which folders are made for the merge, the outermost first.
func (j *job) missing() []string {
	var made []string
	for _, s := range j.plan.Stacks {
		if s.Idle || !s.Missing {
			continue
		}
		for at := range prefixes(s.Place) {
			if _, err := j.root.Lstat(at); errors.Is(err, fs.ErrNotExist) && !slices.Contains(made, at) {
				made = append(made, at)
			}
		}
	}
	return made
}

// removeMade removes folders that were made for a merge, where nothing is in them
// and nothing on them.
func removeMade(n *Native, made []string) error {
	for _, at := range slices.Backward(made) {
		err := n.root.Remove(at)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !isBusy(err) {
			return fmt.Errorf("removing folder %q, which was made for a merge: %w", "/"+at, err)
		}
	}
	return nil
}

func splitOptions(text string) []string { return strings.Split(text, ",") }
