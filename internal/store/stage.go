package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
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
// size that is known is set aside. Discard it when done: nothing is left of it
// then, nor of a store that there was not before.
func (s *Store) Stage(size int64) (*Staged, error) {
	folder, err := s.nearest()
	if err != nil {
		return nil, s.explain(err)
	}
	defer folder.Close()
	if err := s.checkSpace(folder, size); err != nil {
		return nil, err
	}
	st := &Staged{store: s}
	if err := st.open(folder); err != nil {
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

// nearest opens the store's folder or, while there is none, the nearest one above
// it: that is on the file system which the store will be on.
func (s *Store) nearest() (*os.File, error) {
	if found, err := s.open(); err != nil {
		return nil, err
	} else if found {
		return s.dir.Open(".")
	}
	for at := path.Dir(s.at); ; at = path.Dir(at) {
		folder, err := s.root.OpenFile(at, os.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil || at == "." || !errors.Is(err, fs.ErrNotExist) {
			return folder, err
		}
	}
}

func (s *Store) checkSpace(folder *os.File, size int64) error {
	if size <= 0 {
		return nil
	}
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

func (st *Staged) open(folder *os.File) error {
	var err error
	st.file, err = st.store.disk.nameless(folder)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		return st.openHidden()
	}
	return err
}

// openHidden is for file systems without nameless files, and has to make the
// store for the file's name. The file is locked while its process lives, by which
// clearStaging knows it from rubbish.
func (st *Staged) openHidden() error {
	s := st.store
	if err := s.make(); err != nil {
		return err
	}
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
		f, err := s.dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
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

var (
	_ io.Writer   = (*Staged)(nil)
	_ io.WriterAt = (*Staged)(nil)
	_ io.ReaderAt = (*Staged)(nil)
)
