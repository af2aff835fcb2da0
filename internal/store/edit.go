package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// Enable makes profiles use images. What is so already stays; an absolute link
// becomes a relative one. The store must be locked.
func (s *Store) Enable(images []Image, profiles []Profile) (*Change, error) {
	return s.begin(func(c *Change) error { return c.Enable(images, profiles) })
}

// Disable makes profiles use images no more.
func (s *Store) Disable(images []Image, profiles []Profile) (*Change, error) {
	return s.begin(func(c *Change) error { return c.Disable(images, profiles) })
}

// Remove takes images out of the store, and out of every profile.
func (s *Store) Remove(images []Image) (*Change, error) {
	return s.begin(func(c *Change) error { return c.Remove(images) })
}

func (s *Store) begin(edit func(*Change) error) (*Change, error) {
	c, err := s.Begin()
	if err != nil {
		return nil, err
	}
	if err := edit(c); err != nil {
		return nil, err
	}
	return c, nil
}

// Enable is [Store.Enable] as a part of a larger change.
func (c *Change) Enable(images []Image, profiles []Profile) error {
	sc, err := c.look(profiles)
	if err != nil {
		return c.fail(err)
	}
	var steps []step
	var folders []string
	for _, p := range unique(profiles) {
		if made, err := c.store.profileFolder(p); err != nil {
			return c.fail(err)
		} else if !made {
			folders = append(folders, string(p))
		}
		for _, name := range fileNames(images) {
			if err := enableable(sc, name); err != nil {
				return c.fail(err)
			}
			st := step{Place: string(p), Name: name, Now: &entry{Link: "../" + name}}
			if st.Was, _, err = c.store.replaced(st.path()); err != nil {
				return c.fail(err)
			}
			if st.Was != nil && st.Was.Link == "" {
				at := path.Join(c.store.at, st.path())
				return c.fail(hint.Wrap(fmt.Errorf("%q is a file, and would be replaced by a link", at), "move it away"))
			}
			if st.Was == nil || *st.Was != *st.Now {
				steps = append(steps, st)
			}
		}
	}
	return c.make(steps, folders, nil)
}

// enableable says whether systemd would make anything of an image.
func enableable(sc *scan, fileName string) error {
	image, found := sc.images[fileName]
	if !found || image.Missing {
		return hint.Wrap(fmt.Errorf("%q: %w", fileName, ErrNotFound), "download it again")
	}
	return extension.ValidName(image.Name)
}

// profileFolder says whether the folder of a profile is there.
func (s *Store) profileFolder(p Profile) (found bool, err error) {
	info, err := s.dir.Lstat(string(p))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, hint.Wrap(fmt.Errorf("%q is no folder", path.Join(s.at, string(p))), "move it away")
	}
	return true, nil
}

// Disable is [Store.Disable] as a part of a larger change.
func (c *Change) Disable(images []Image, profiles []Profile) error {
	sc, err := c.look(profiles)
	if err != nil {
		return c.fail(err)
	}
	var steps []step
	for _, name := range fileNames(images) {
		steps = append(steps, sc.unlink(name, func(l link) bool { return isProfile(l.place) && slices.Contains(profiles, Profile(l.place)) })...)
	}
	return c.make(steps, nil, nil)
}

// unlink returns the steps that remove those links to an image that are meant.
func (sc *scan) unlink(fileName string, meant func(link) bool) []step {
	var steps []step
	for _, l := range sc.links[fileName] {
		if meant(l) {
			steps = append(steps, step{Place: l.place, Name: l.name, Was: &entry{Link: l.target}})
		}
	}
	return steps
}

// Remove is [Store.Remove] as a part of a larger change. Links in the run
// folder are for UnlinkRun.
func (c *Change) Remove(images []Image) error {
	sc, err := c.look(nil)
	if err != nil {
		return c.fail(err)
	}
	var steps []step
	for _, name := range fileNames(images) {
		image, found := sc.images[name]
		if !found {
			return c.fail(fmt.Errorf("%q: %w", name, ErrNotFound))
		}
		steps = append(steps, sc.unlink(name, func(l link) bool { return l.place != placeRun })...)
		if image.Missing {
			continue
		}
		st := step{Place: placeImages, Name: name}
		if st.Was, st.Sealed, err = c.store.replaced(name); err != nil {
			return c.fail(err)
		}
		record := step{Place: placeRecords, Name: recordOf(name)}
		if record.Was, _, err = c.store.replaced(record.path()); err != nil {
			return c.fail(err)
		}
		more := []step{record}
		for _, profile := range trialProfiles() {
			good := step{Place: placeGood + profile, Name: name}
			if good.Was, _, err = c.store.replaced(good.path()); err != nil {
				return c.fail(err)
			}
			more = append(more, good)
		}
		steps = append(steps, st)
		for _, m := range more {
			if m.Was != nil {
				steps = append(steps, m)
			}
		}
	}
	return c.make(steps, nil, nil)
}

// look reads the store as this change has left it.
func (c *Change) look(profiles []Profile) (*scan, error) {
	if c.ended {
		return nil, errors.New("the change has ended")
	}
	for _, p := range profiles {
		if !isProfile(string(p)) {
			return nil, fmt.Errorf("unknown profile %q", p)
		}
	}
	return c.store.scan()
}

// fileNames returns the names of images, each once.
func fileNames(images []Image) []string {
	var names []string
	for _, i := range images {
		names = append(names, i.FileName)
	}
	return unique(names)
}

func unique[T comparable](all []T) []T {
	var once []T
	for _, v := range all {
		if !slices.Contains(once, v) {
			once = append(once, v)
		}
	}
	return once
}
