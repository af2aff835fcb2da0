package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"inlay/internal/hint"
)

// openRun opens the run folder. The caller closes it.
func (s *Store) openRun() (*os.Root, error) {
	at, err := resolve(s.root, s.kind.RunFolder)
	if err != nil {
		return nil, err
	}
	return s.root.OpenRoot(at)
}

// LinkRun links images into the run folder, where systemd finds them until the
// next boot. The links lead to the images themselves, not to a profile's link,
// so that disabling an image does not take it away while it is in use. They are
// relative: the run folder is read under any root.
//
// A link of that name that leads into the store is replaced; anything else
// belongs to somebody else, and is an error.
func (c *Change) LinkRun(images []Image) error {
	sc, err := c.look(nil)
	if err != nil {
		return c.fail(err)
	}
	s := c.store
	at, err := resolve(s.root, s.kind.RunFolder)
	if err != nil {
		return c.fail(err)
	}
	var steps []step
	for _, name := range fileNames(images) {
		if err := enableable(sc, name); err != nil {
			return c.fail(err)
		}
		st := step{Place: placeRun, Name: name, Now: &entry{Link: s.runTarget(at, name)}}
		target, err := s.root.Readlink(path.Join(at, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return c.fail(foreign(at, name, "it is no link"))
		default:
			if _, ours := s.leads(at, target); !ours {
				return c.fail(foreign(at, name, fmt.Sprintf("it leads to %q", target)))
			}
			st.Was = &entry{Link: target}
		}
		if st.Was == nil || *st.Was != *st.Now {
			steps = append(steps, st)
		}
	}
	var folders []string
	for _, folder := range parents(at) {
		if _, err := s.root.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
			folders = append(folders, folder)
		}
	}
	return c.make(steps, nil, folders)
}

func foreign(at, name, why string) error {
	return hint.Wrap(fmt.Errorf("%q is there, and not from the store: %s", "/"+path.Join(at, name), why),
		"remove it if nothing needs it")
}

// runTarget returns what a link in the run folder, at a path free of links,
// says to lead to an image.
func (s *Store) runTarget(at, name string) string {
	return strings.Repeat("../", strings.Count(at, "/")+1) + path.Join(s.kind.Store, name)
}

// UnlinkRun removes every link to images from the run folder. What it doesn't
// link, and images that are gone, are no error. It sees through links of a
// profile that bear another name, as long as they are there: call it first.
func (c *Change) UnlinkRun(images []Image) error {
	sc, err := c.look(nil)
	if err != nil {
		return c.fail(err)
	}
	var steps []step
	for _, name := range fileNames(images) {
		steps = append(steps, sc.unlink(name, func(l link) bool { return l.place == placeRun })...)
	}
	return c.make(steps, nil, nil)
}
