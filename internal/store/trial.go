package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/trial"
)

// trialProfiles are those that boots are counted by; none is of a boot without one.
func trialProfiles() []string { return []string{"active", "passive", "recovery", "none"} }

// goodPath is where the file lies that an image of the same name has replaced, and
// that the last good boot of a profile used.
func goodPath(profile, fileName string) string { return path.Join(goodFolder, profile, fileName) }

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
// of a profile used, nil if there is none. It goes by the same name, and lies elsewhere.
func (s *Store) Fallback(profile string, image Image) (*Image, error) {
	if s.dir == nil {
		return nil, nil
	}
	at := goodPath(profile, image.FileName)
	info, err := s.dir.Lstat(at)
	if err != nil || !info.Mode().IsRegular() {
		return nil, ignoreNotExist(err)
	}
	good, err := s.image(image.FileName, info)
	if err != nil {
		return nil, err
	}
	good.Path, good.Profiles = path.Join(s.at, at), slices.Clone(image.Profiles)
	return good, nil
}

// OpenFallback opens what Fallback has returned.
func (s *Store) OpenFallback(good Image) (*os.File, error) {
	return s.openSeen(strings.TrimPrefix(good.Path, s.at+"/"), good)
}

// DropFallbacks removes what nothing falls back to any more: what is kept for profiles
// beside images for which drop says so. The store must be locked.
func (s *Store) DropFallbacks(drop func(profile, fileName string) bool) error {
	if s.held == nil {
		return errNotLocked
	}
	for _, profile := range trialProfiles() {
		names, err := entries(s.dir, path.Join(goodFolder, profile))
		if err != nil {
			return err
		}
		for _, name := range names {
			if !drop(profile, name) {
				continue
			}
			at := goodPath(profile, name)
			if err := s.disk.remove(s.dir, at); err != nil {
				return s.explain(fmt.Errorf("removing \"/%s\": %w", path.Join(s.at, at), err))
			}
		}
	}
	return nil
}

// clearFallbacks removes those whose image is gone, by whatever tool.
func (s *Store) clearFallbacks() error {
	return s.DropFallbacks(func(_, name string) bool {
		_, err := s.dir.Lstat(name)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// fallbackSteps are those that keep the file fileName, which is about to be replaced,
// for each profile whose last good boot used it.
func (s *Store) fallbackSteps(fileName string) (steps []step, err error) {
	info, err := s.dir.Lstat(fileName)
	if err != nil || !info.Mode().IsRegular() {
		return nil, ignoreNotExist(err)
	}
	is, err := identify(info)
	if err != nil {
		return nil, err
	}
	// A state that is damaged knows of no good boot, and keeps nobody from downloading.
	state, _ := s.Trials()
	for _, profile := range trialProfiles() {
		if !state.Trusted(profile, trialImage(fileName, is)) {
			continue
		}
		st := step{
			Place: placeGood + profile, Name: fileName, Now: &entry{Inode: is.Inode}, Sealed: s.hasRecord(fileName, info),
			fill: func(name string) error { return s.disk.link(s.dir, fileName, name) },
		}
		// What was kept before is of an older good boot.
		if st.Was, _, err = s.replaced(st.path()); err != nil {
			return nil, err
		}
		if st.Was == nil || st.Was.Inode != is.Inode {
			steps = append(steps, st)
		}
	}
	return steps, nil
}
