package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// slack is what is left free beside an image, for its name, its record and
// whatever else happens at the same time.
const slack = 1 << 20

// Staged is an image on its way into the store, on the store's file system. It
// has no name, so that nothing is left of it if its process dies. No lock is
// needed until Commit.
type Staged struct {
	store  *Store
	file   *os.File
	hidden string // its name, on file systems that know no nameless files
	size   int64
	offset int64 // where Write goes on
	done   bool
}

// Stage begins an image of size bytes, or of a size that is not known (-1, 0).
// An image that will not fit is refused now, with ErrNoSpace: the room for a
// size that is known is set aside. Discard it when done.
func (s *Store) Stage(size int64) (*Staged, error) {
	if err := s.make(); err != nil {
		return nil, err
	}
	if err := s.checkSpace(size); err != nil {
		return nil, err
	}
	st := &Staged{store: s}
	if err := st.open(); err != nil {
		return nil, s.explain(fmt.Errorf("creating a file in the store \"/%s\": %w", s.at, err))
	}
	if size > 0 {
		if err := s.disk.reserve(st.file, size); err != nil {
			st.Discard()
			return nil, s.explain(fmt.Errorf("setting %d bytes aside in the store \"/%s\": %w", size, s.at, err))
		}
	}
	return st, nil
}

func (s *Store) checkSpace(size int64) error {
	if size <= 0 {
		return nil
	}
	folder, err := s.dir.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	var v unix.Statfs_t
	if err := unix.Fstatfs(int(folder.Fd()), &v); err != nil {
		return fmt.Errorf("asking for the free space of the store \"/%s\": %w", s.at, err)
	}
	block := uint64(max(v.Bsize, 1))
	free := v.Bavail * block
	if v.Bavail > 0 && free/v.Bavail != block || free >= uint64(size)+slack {
		return nil
	}
	return s.explain(fmt.Errorf("the image has %d bytes, the file system of the store \"/%s\" has %d left: %w",
		size, s.at, free, unix.ENOSPC))
}

func (st *Staged) open() error {
	s := st.store
	folder, err := s.dir.Open(stagingFolder)
	if err != nil {
		return err
	}
	defer folder.Close()
	st.file, err = s.disk.nameless(folder)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		return st.openHidden()
	}
	return err
}

// openHidden is for file systems without nameless files. The file is locked
// while its process lives, by which clearStaging knows it from rubbish.
func (st *Staged) openHidden() error {
	s := st.store
	for {
		name := path.Join(stagingFolder, rand.Text())
		f, err := s.disk.create(s.dir, name, os.O_EXCL)
		if err != nil {
			return err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return errors.Join(err, s.disk.remove(s.dir, name), f.Close())
		}
		is, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if named, err := s.dir.Lstat(name); err == nil && os.SameFile(is, named) {
			st.file, st.hidden = f, name
			return nil
		}
		// It was taken for rubbish in the instant before it was locked.
		if err := f.Close(); err != nil {
			return err
		}
	}
}

// clearStaging removes files that a process was writing when it died.
func (s *Store) clearStaging() error {
	names, err := entries(s.dir, stagingFolder)
	if err != nil {
		return err
	}
	for _, name := range names {
		name = path.Join(stagingFolder, name)
		f, err := s.dir.Open(name)
		if err != nil {
			continue // given up meanwhile
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			err = s.disk.remove(s.dir, name)
			if err != nil {
				return errors.Join(err, f.Close())
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Size returns how long the file is so far.
func (st *Staged) Size() int64 { return st.size }

// Write appends to what Write has written before.
func (st *Staged) Write(b []byte) (int, error) {
	n, err := st.WriteAt(b, st.offset)
	st.offset += int64(n)
	return n, err
}

// WriteAt writes anywhere.
func (st *Staged) WriteAt(b []byte, offset int64) (int, error) {
	if err := st.store.disk.writeAt(st.file, b, offset); err != nil {
		return 0, st.store.explain(fmt.Errorf("writing to the store \"/%s\": %w", st.store.at, err))
	}
	st.size = max(st.size, offset+int64(len(b)))
	return len(b), nil
}

// ReadAt reads what was written.
func (st *Staged) ReadAt(b []byte, offset int64) (int, error) { return st.file.ReadAt(b, offset) }

// Truncate makes the file size bytes long; Write goes on at its end.
func (st *Staged) Truncate(size int64) error {
	if err := st.store.disk.truncate(st.file, size); err != nil {
		return st.store.explain(fmt.Errorf("writing to the store \"/%s\": %w", st.store.at, err))
	}
	st.size, st.offset = size, size
	return nil
}

// Sync writes the file through to the disk. Commit does so, too; done before
// Lock, it keeps others waiting for less long.
func (st *Staged) Sync() error {
	if err := st.store.disk.sync(st.file); err != nil {
		return st.store.explain(fmt.Errorf("writing an image through to the disk: %w", err))
	}
	return nil
}

// Discard gives up what was not committed.
func (st *Staged) Discard() {
	if st.done {
		return
	}
	st.done = true
	if st.hidden != "" {
		// What stays goes under the next lock.
		_ = st.store.disk.remove(st.store.dir, st.hidden)
	}
	_ = st.file.Close()
}

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
	return []step{image, record}, nil
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

var (
	_ io.Writer   = (*Staged)(nil)
	_ io.WriterAt = (*Staged)(nil)
	_ io.ReaderAt = (*Staged)(nil)
)
