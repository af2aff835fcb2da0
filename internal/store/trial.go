package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"inlay/internal/hint"
	"inlay/internal/trial"
)

// goodPath is where the file lies that an image of the same name has replaced, and
// that the last good boot used.
func goodPath(fileName string) string { return path.Join(goodFolder, fileName) }

// Trials returns what is known of earlier boots. Where that is damaged it is an
// error and, beside it, the state that knows of none.
func (s *Store) Trials() (*trial.State, error) {
	none := &trial.State{}
	if s.dir == nil {
		return none, nil
	}
	text, err := readFile(s.dir, trialsFile, trial.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	state := none
	if err == nil {
		state, err = trial.Parse(text)
	}
	if err != nil {
		name := path.Join("/", s.at, trialsFile)
		return none, hint.Wrap(fmt.Errorf("reading %q: %w", name, err), fmt.Sprintf("remove %q: all extensions are on trial anew then", name))
	}
	return state, nil
}

// KeepTrials writes what is known of boots through to the disk, in one rename. The
// store must be locked.
func (s *Store) KeepTrials(state *trial.State) error {
	if s.held == nil {
		return errNotLocked
	}
	text, err := state.Marshal()
	if err == nil && len(text) > trial.MaxSize {
		err = fmt.Errorf("it takes %d bytes, more than %d", len(text), trial.MaxSize)
	}
	next := path.Join(asideFolder, "boot.new")
	if err == nil {
		err = s.disk.writeFile(s.dir, next, text)
	}
	if err == nil {
		err = s.disk.rename(s.dir, next, trialsFile)
	}
	if err == nil {
		err = s.disk.syncFolder(s.dir, ownFolder)
	}
	if err != nil {
		return s.explain(fmt.Errorf("writing \"/%s\": %w", path.Join(s.at, trialsFile), err))
	}
	return nil
}

// Trial is what an image goes by in a [trial.State]: another file of its name, or
// other content, goes by something else.
func (i Image) Trial() trial.Image { return trialImage(i.FileName, i.identity) }

func trialImage(fileName string, is Identity) trial.Image {
	return trial.Image{FileName: fileName, ID: fmt.Sprintf("%d-%d-%d", is.Inode, is.Size, is.ModTime.UnixNano())}
}

// Fallback returns the image that this one has replaced and that the last good boot
// used, nil if there is none. It goes by the same name, and lies elsewhere.
func (s *Store) Fallback(image Image) (*Image, error) {
	if s.dir == nil {
		return nil, nil
	}
	info, err := s.dir.Lstat(goodPath(image.FileName))
	if err != nil || !info.Mode().IsRegular() {
		return nil, ignoreNotExist(err)
	}
	good, err := s.image(image.FileName, info)
	if err != nil {
		return nil, err
	}
	good.Path, good.Profiles = path.Join(s.at, goodPath(image.FileName)), slices.Clone(image.Profiles)
	return good, nil
}

// OpenFallback opens what Fallback has returned.
func (s *Store) OpenFallback(good Image) (*os.File, error) {
	return s.openSeen(goodPath(good.FileName), good)
}

// DropFallbacks removes what nothing falls back to any more: what is kept beside
// images for which drop says so. The store must be locked.
func (s *Store) DropFallbacks(drop func(fileName string) bool) error {
	if s.held == nil {
		return errNotLocked
	}
	names, err := entries(s.dir, goodFolder)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !drop(name) {
			continue
		}
		if err := s.disk.remove(s.dir, goodPath(name)); err != nil {
			return s.explain(fmt.Errorf("removing \"/%s\": %w", path.Join(s.at, goodPath(name)), err))
		}
	}
	return nil
}

// clearFallbacks removes those whose image is gone, by whatever tool.
func (s *Store) clearFallbacks() error {
	return s.DropFallbacks(func(name string) bool {
		_, err := s.dir.Lstat(name)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// fallbackSteps are those that keep the file fileName, which is about to be replaced,
// if the last good boot of some profile used it.
func (s *Store) fallbackSteps(fileName string) ([]step, error) {
	info, err := s.dir.Lstat(fileName)
	if err != nil || !info.Mode().IsRegular() {
		return nil, ignoreNotExist(err)
	}
	is, err := identify(info)
	if err != nil {
		return nil, err
	}
	// A state that is damaged knows of no good boot, and keeps nobody from downloading.
	if state, _ := s.Trials(); !state.GoodAnywhere(trialImage(fileName, is)) {
		return nil, nil
	}
	at := goodPath(fileName)
	if _, err := s.dir.Lstat(at); err == nil {
		return nil, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return []step{{
		Place: placeGood, Name: fileName, Now: &entry{Inode: is.Inode}, Sealed: s.hasRecord(fileName, info),
		fill: func(name string) error { return s.disk.link(s.dir, fileName, name) },
	}}, nil
}
