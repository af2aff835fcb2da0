package store

import (
	"errors"
	"fmt"
	"io/fs"
)

// staleFile is the journal of a change that is undone, and by which the running
// system may have been merged all the same. Renaming takes no space.
const staleFile = ownFolder + "/stale"

// Live says that the running system will be merged by the change, before it is
// kept. It comes before all else of the change: whoever undoes it after a kill
// must know that what is merged may have to follow.
func (c *Change) Live() error {
	if c.ended || !c.Empty() {
		return errors.New("the change has begun, or ended")
	}
	c.j.Live = true
	return nil
}

// Merging says that the running system is about to be merged by the change.
// From here on, undoing it makes the store Stale.
func (c *Change) Merging() { c.merging = true }

// Stale says that a change was undone by which the running system may have been
// merged, in this boot: it must be merged anew, and Refreshed called.
func (s *Store) Stale() bool {
	if s.dir == nil {
		return false
	}
	text, err := readFile(s.dir, staleFile, maxJournal)
	if err != nil {
		return false
	}
	// What cannot be read was ours once: to merge anew costs little.
	j, err := parseJournal(text)
	return err != nil || j.Boot == s.boot()
}

// Refreshed says that the running system has been merged anew.
func (s *Store) Refreshed() error {
	switch {
	case s.held == nil:
		return errNotLocked
	case s.dir == nil:
		return nil
	}
	if _, err := s.dir.Lstat(staleFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := s.disk.remove(s.dir, staleFile); err != nil {
		return s.explain(fmt.Errorf("noting that the running system was merged: %w", err))
	}
	return nil
}

// dropJournal ends the undoing of a change.
func (s *Store) dropJournal(j *journal) error {
	if j.Live && j.Boot == s.boot() {
		return s.disk.rename(s.dir, journalFile, staleFile)
	}
	return s.disk.remove(s.dir, journalFile)
}
