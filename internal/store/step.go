package store

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// runNext is the name of a link in the run folder that is to replace another.
// systemd passes over names that don't end in ".raw".
const runNext = ".inlay.new"

// apply makes step i. Each of its calls leaves a state that undo understands:
// what was there is under its name, or aside, or both.
func (s *Store) apply(st step, i int) error {
	if st.Place == placeRun {
		return s.applyRun(st)
	}
	at, kept, next := st.path(), aside(i), aside(i)+".new"
	switch {
	case st.Now == nil:
		return s.disk.rename(s.dir, at, kept)
	case st.Was == nil && st.fill == nil:
		return s.disk.symlink(s.dir, st.Now.Link, at)
	case st.fill != nil:
		if err := st.fill(next); err != nil {
			return err
		}
	default:
		if err := s.disk.symlink(s.dir, st.Now.Link, next); err != nil {
			return err
		}
	}
	if st.Was != nil {
		// A second name, so that there is no instant without the first.
		if err := s.disk.link(s.dir, at, kept); err != nil {
			return err
		}
	}
	return s.disk.rename(s.dir, next, at)
}

// undo puts back what step i replaced.
func (s *Store) undo(st step, i int) error {
	if st.Place == placeRun {
		return s.undoRun(st)
	}
	if st.Was == nil {
		if err := s.removeOurs(s.dir, st); err != nil || !st.Sealed {
			return err
		}
		// Each name that the file loses moves the time that its record goes by.
		if err := s.disk.remove(s.dir, aside(i)+".new"); err != nil {
			return err
		}
		return s.renew(st.Name)
	}
	kept := aside(i)
	if _, err := s.dir.Lstat(kept); err == nil {
		if err := s.disk.rename(s.dir, kept, st.path()); err != nil {
			return err
		}
		// Renaming one name of a file over another does nothing at all.
		if err := s.disk.remove(s.dir, kept); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !st.Sealed {
		return nil
	}
	return s.renew(st.Name)
}

// renew is reseal where a full disk must not keep the rest from being put back.
func (s *Store) renew(fileName string) error {
	if err := s.reseal(fileName); err != nil && !noSpace(err) {
		return err
	}
	return nil
}

// applyRun is apply for the run folder, which lies on a file system of its own
// and is read by systemd: nothing is set aside there.
func (s *Store) applyRun(st step) error {
	run, err := s.openRun()
	if err != nil {
		return err
	}
	defer run.Close()
	switch {
	case st.Now == nil:
		return s.disk.remove(run, st.Name)
	case st.Was == nil:
		return s.disk.symlink(run, st.Now.Link, st.Name)
	}
	return s.replaceRun(run, st.Name, st.Now.Link)
}

func (s *Store) replaceRun(run *os.Root, name, target string) error {
	if err := s.disk.remove(run, runNext); err != nil {
		return err
	}
	if err := s.disk.symlink(run, target, runNext); err != nil {
		return err
	}
	return s.disk.rename(run, runNext, name)
}

func (s *Store) undoRun(st step) error {
	run, err := s.openRun()
	if errors.Is(err, fs.ErrNotExist) && st.Was == nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer run.Close()
	if err := s.disk.remove(run, runNext); err != nil {
		return err
	}
	if st.Was == nil {
		return s.removeOurs(run, st)
	}
	target, err := run.Readlink(st.Name)
	switch {
	case err == nil && target == st.Was.Link:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return s.disk.symlink(run, st.Was.Link, st.Name)
	case err != nil:
		return err
	}
	return s.replaceRun(run, st.Name, st.Was.Link)
}

// removeOurs removes what a step has put where nothing was before; what
// somebody else has put there stays.
func (s *Store) removeOurs(r *os.Root, st step) error {
	name := st.path()
	info, err := r.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		target, err := r.Readlink(name)
		if err != nil {
			return err
		}
		if st.Now == nil || target != st.Now.Link {
			return nil
		}
		return s.disk.remove(r, name)
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	if st.Now == nil || st.Now.Link != "" || !info.Mode().IsRegular() || !ok || st.Now.Inode != 0 && is.Ino != st.Now.Inode {
		return nil
	}
	return s.disk.remove(r, name)
}
