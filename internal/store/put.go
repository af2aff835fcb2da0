package store

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// Commit puts the image into the store under fileName, in place of what was
// there, with the record r beside it: a change of its own, kept at once. The
// store must be locked. After an error the store is as it was before; the
// image is given up in either case.
func (st *Staged) Commit(fileName string, r Record) error {
	defer st.Discard()
	c, err := st.store.Begin()
	if err != nil {
		return err
	}
	if err := c.Put(st, fileName, r); err != nil {
		return err
	}
	return c.Keep()
}

// Put is Commit as a part of a larger change. The image is used up by it.
func (c *Change) Put(st *Staged, fileName string, r Record) error {
	defer st.Discard()
	s := c.store
	if err := s.checkFileName(fileName); err != nil {
		return c.fail(err)
	}
	if st.done || st.store != s {
		return c.fail(errors.New("the image was committed before, or to another store"))
	}
	// This frees what was set aside for an image that came out smaller.
	if err := st.Truncate(st.size); err != nil {
		return c.fail(err)
	}
	if err := st.Sync(); err != nil {
		return c.fail(err)
	}
	steps, err := s.putSteps(st, fileName, r)
	if err != nil {
		return c.fail(fmt.Errorf("putting %q into the store: %w", fileName, err))
	}
	return c.make(steps, nil, nil)
}

func (s *Store) putSteps(st *Staged, fileName string, r Record) ([]step, error) {
	info, err := st.file.Stat()
	if err != nil {
		return nil, err
	}
	is, err := identify(info)
	if err != nil {
		return nil, err
	}
	image := step{Place: placeImages, Name: fileName, Now: &entry{Inode: is.Inode}, fill: st.name}
	if image.Was, image.Sealed, err = s.replaced(fileName); err != nil {
		return nil, err
	}
	record := step{Place: placeRecords, Name: recordOf(fileName), Now: &entry{}}
	if record.Was, _, err = s.replaced(record.path()); err != nil {
		return nil, err
	}
	// Only now, after its last change of name, can the image be identified.
	record.fill = func(name string) error {
		text, err := s.seal(fileName, r)
		if err != nil {
			return err
		}
		return s.disk.writeFile(s.dir, name, text)
	}
	kept, err := s.fallbackSteps(fileName)
	if err != nil {
		return nil, err
	}
	return append(kept, image, record), nil
}

// name gives the staged file a name in the store's folder.
func (st *Staged) name(name string) error {
	s := st.store
	if st.hidden != "" {
		err := s.disk.rename(s.dir, st.hidden, name)
		if err == nil {
			st.hidden = ""
		}
		return err
	}
	folder, err := s.dir.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer folder.Close()
	return s.disk.name(st.file, folder, path.Base(name))
}

// checkFileName says whether an image may be called fileName here.
func (s *Store) checkFileName(fileName string) error {
	refuse := func(reason, advice string) error {
		return hint.Wrap(fmt.Errorf("an image called %q %s", fileName, reason), advice)
	}
	name := extension.NameOf(s.kind, fileName)
	proposed := s.kind.FileName(extension.TrimSuffix(fileName))
	if kind, known := extension.KindOfFile(fileName); known && kind.Name != s.kind.Name {
		return refuse("is no "+s.kind.Name, fmt.Sprintf("put it into the store for kind %q", kind.Name))
	}
	switch {
	case !isEntryName(fileName) || strings.HasPrefix(fileName, "."):
		return refuse("has no name for a file of the store", "give it a name such as \"k3s"+s.kind.Suffix+"\"")
	case !strings.HasSuffix(fileName, ".raw"):
		return refuse("is passed over by systemd", fmt.Sprintf("call it %q", proposed))
	case !isEntryName(recordOf(fileName)):
		return refuse("has a name that is too long", "give it a shorter name")
	}
	return extension.ValidName(name)
}
