package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
)

// Change is a change that has been made and can still be undone. Whoever makes
// one ends it with Keep or Undo; one that is not kept when the store is
// unlocked, or when its process dies, is undone.
//
// A method that returns an error has undone all of the change, and ended it.
type Change struct {
	store *Store
	j     journal
	ended bool
	// merging says that the running system may be merged by it.
	merging bool
}

// Begin starts a change that nothing belongs to yet. The store must be locked,
// and have no other change open.
func (s *Store) Begin() (*Change, error) {
	switch {
	case s.held == nil:
		return nil, errNotLocked
	case s.change != nil:
		return nil, errors.New("an earlier change of the store was neither kept nor undone")
	}
	// What an earlier change has set aside must not be taken for this one's.
	if err := s.clearAside(); err != nil {
		return nil, s.explain(fmt.Errorf("clearing the store \"/%s\": %w", s.at, err))
	}
	s.change = &Change{store: s, j: journal{Version: journalVersion, Command: s.command, Boot: s.boot()}}
	return s.change, nil
}

// Empty says that nothing had to be changed.
func (c *Change) Empty() bool { return len(c.j.Steps) == 0 }

// make journals steps and makes them.
func (c *Change) make(steps []step, folders, runFolders []string) error {
	if c.ended {
		return errors.New("the change has ended")
	}
	if len(steps) == 0 {
		return nil
	}
	first := len(c.j.Steps)
	c.j.Steps = append(c.j.Steps, steps...)
	c.j.Folders = append(c.j.Folders, folders...)
	c.j.RunFolders = append(c.j.RunFolders, runFolders...)
	err := c.apply(first, folders, runFolders)
	if err != nil {
		return c.fail(err)
	}
	return nil
}

func (c *Change) apply(first int, folders, runFolders []string) error {
	s := c.store
	if err := s.writeJournal(&c.j); err != nil {
		return fmt.Errorf("writing how to undo the change: %w", err)
	}
	for _, folder := range folders {
		if err := s.disk.mkdir(s.dir, folder); err != nil {
			return fmt.Errorf("creating the folder %q: %w", path.Join(s.at, folder), err)
		}
	}
	for _, folder := range runFolders {
		if err := s.disk.mkdir(s.root, folder); err != nil {
			return fmt.Errorf("creating the folder %q: %w", folder, err)
		}
	}
	for i := first; i < len(c.j.Steps); i++ {
		if err := s.apply(c.j.Steps[i], i); err != nil {
			return fmt.Errorf("changing %q: %w", c.j.Steps[i].path(), err)
		}
	}
	return nil
}

// fail ends a change because of err.
func (c *Change) fail(err error) error {
	err = c.store.explain(err)
	if undo := c.Undo(); undo != nil {
		return errors.Join(err, undo)
	}
	return err
}

// Keep makes the change final: until it returns nil, the change is undone if
// the power goes. It is undone, too, if Keep cannot make it final.
func (c *Change) Keep() error {
	if c.ended {
		return nil
	}
	s := c.store
	if !c.Empty() {
		if err := s.syncPlaces(&c.j); err != nil {
			return c.fail(fmt.Errorf("writing the change through to the disk: %w", err))
		}
		if err := s.disk.remove(s.dir, journalFile); err != nil {
			return c.fail(fmt.Errorf("keeping the change: %w", err))
		}
	}
	c.end()
	if c.Empty() {
		return nil
	}
	if err := s.disk.syncFolder(s.dir, ownFolder); err != nil {
		return fmt.Errorf("the change is made, but may be undone if the power goes: writing it through to the disk: %w", err)
	}
	// What remains of it is in nobody's way, and goes under the next lock.
	_ = s.clearAside()
	return nil
}

// Undo puts everything back as it was before the change. After Keep, or a
// second time, it does nothing. If it fails, the next Lock tries again.
func (c *Change) Undo() error {
	if c.ended {
		return nil
	}
	if !c.Empty() {
		c.j.Live = c.j.Live && c.merging
		if err := c.store.rollBack(&c.j); err != nil {
			return fmt.Errorf("undoing the change: %w", err)
		}
	}
	c.end()
	return nil
}

func (c *Change) end() {
	c.ended = true
	if c.store.change == c {
		c.store.change = nil
	}
}

// rollBack undoes what a journal describes, whether all of it had been done or
// none, and whether or not that was tried before.
func (s *Store) rollBack(j *journal) error {
	sameBoot := j.Boot == s.boot()
	for i, st := range slices.Backward(j.Steps) {
		if st.Place == placeRun && !sameBoot {
			continue // another boot has its own links
		}
		if err := s.undo(st, i); err != nil {
			return fmt.Errorf("putting back %q: %w", st.path(), err)
		}
	}
	for _, folder := range slices.Backward(j.Folders) {
		if err := s.disk.rmdir(s.dir, folder); err != nil {
			return err
		}
	}
	if sameBoot {
		for _, folder := range slices.Backward(j.RunFolders) {
			if err := s.disk.rmdir(s.root, folder); err != nil {
				return err
			}
		}
	}
	if err := s.syncPlaces(j); err != nil {
		return err
	}
	if err := s.dropJournal(j); err != nil {
		return err
	}
	if err := s.disk.syncFolder(s.dir, ownFolder); err != nil {
		return err
	}
	return s.clearAside()
}

// syncPlaces writes the folders through to the disk that a change touches.
// The run folder doesn't outlive the power anyway.
func (s *Store) syncPlaces(j *journal) error {
	var touched []string
	if len(j.Folders) > 0 {
		touched = append(touched, ".")
	}
	for _, st := range j.Steps {
		if st.Place != placeRun {
			touched = append(touched, folderOf(st.Place), asideFolder)
		}
	}
	slices.Sort(touched)
	for _, folder := range slices.Compact(touched) {
		err := s.disk.syncFolder(s.dir, folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// clearAside removes what changes of the past have set aside.
func (s *Store) clearAside() error {
	names, err := entries(s.dir, asideFolder)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.disk.remove(s.dir, path.Join(asideFolder, name)); err != nil {
			return err
		}
	}
	return nil
}

// entries returns the names in a folder, sorted; none if there is no folder.
func entries(r *os.Root, folder string) ([]string, error) {
	f, err := r.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// aside is where step i sets aside what was there.
func aside(i int) string { return path.Join(asideFolder, strconv.Itoa(i)) }
