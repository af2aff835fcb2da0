package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// Settle undoes what an interrupted command has left half done, and clears what
// it has left lying about, as Lock does, for those who only read: the middle of a
// change is no state to show, nor to look for names in. Where that cannot be done
// now, because somebody is at work, the store may not be written to or its journal
// is damaged, reading must do with what is there; Problems tells of it.
func (s *Store) Settle() {
	if !s.interrupted() && !s.littered() {
		return
	}
	if unlock, err := s.Lock(context.Background(), 0, "undoing"); err == nil {
		_ = unlock() // nothing was changed that could fail to be undone
	}
}

// interrupted says whether a journal lies there that nobody works by.
func (s *Store) interrupted() bool {
	if s.dir == nil {
		return false
	}
	_, err := s.dir.Lstat(journalFile)
	return err == nil && s.idle()
}

// littered says whether something is left of a change that is over, or of an
// image that never came. What is being downloaded has a name only on file systems
// that know no nameless files; there, Lock looks closer.
func (s *Store) littered() bool {
	if s.dir == nil {
		return false
	}
	for _, folder := range []string{asideFolder, stagingFolder} {
		if info, err := s.dir.Lstat(folder); err != nil || !info.IsDir() {
			continue
		}
		if names, err := entries(s.dir, folder); err == nil && len(names) > 0 {
			return s.idle()
		}
	}
	return false
}

// idle says that nobody changes the store just now.
func (s *Store) idle() bool {
	if s.held != nil {
		return false
	}
	f, err := openRegular(s.dir, lockFile, os.O_RDONLY)
	if err != nil {
		return false // who may not ask cannot tell
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
}

// recover undoes a change that was interrupted and clears what no change
// needs any more.
func (s *Store) recover() error {
	err := s.clear()
	if errors.Is(err, fs.ErrExist) { // or a folder that is not empty
		return hint.Default(err, fmt.Sprintf("only inlay writes to \"/%s\": move away what it did not make there", path.Join(s.at, ownFolder)))
	}
	return err
}

func (s *Store) clear() error {
	j, err := s.readJournal()
	if err != nil {
		return err
	}
	if j != nil {
		if err := s.rollBack(j); err != nil {
			return err
		}
	}
	if !s.Stale() {
		if err := s.disk.remove(s.dir, staleFile); err != nil { // of another boot
			return err
		}
	}
	if err := s.clearAside(); err != nil {
		return err
	}
	if err := s.clearStaging(); err != nil {
		return err
	}
	if err := s.clearRecords(); err != nil {
		return err
	}
	if err := s.clearFallbacks(); err != nil {
		return err
	}
	return s.keepSpare()
}

// clearRecords removes records of images that are gone.
func (s *Store) clearRecords() error {
	names, err := entries(s.dir, recordsFolder)
	if err != nil {
		return err
	}
	for _, name := range names {
		image, ok := strings.CutSuffix(name, ".json")
		if ok {
			if _, err := s.dir.Lstat(image); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if err := s.disk.remove(s.dir, path.Join(recordsFolder, name)); err != nil {
			return err
		}
	}
	return nil
}
