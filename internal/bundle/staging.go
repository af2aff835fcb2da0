package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// The folder beside the final one in which it is made. systemd passes over names
// that begin with ".#"; a hidden name alone it would take for an extension.
const (
	stagePrefix = ".#"
	stageSuffix = ".inlay"
)

// What a staging folder holds.
const (
	newTree    = "tree"    // what is to appear; after an exchange, what was there before
	oldTree    = "old"     // what was there before, where the file system knows no exchange
	newContent = "content" // files that have no name in the tree yet, by number
	inUse      = "merged"  // what was there before, while the system has it merged
)

// staging is a folder beside the final one, in which that is made. Whoever holds
// its lock, which ends with the process, may do what he likes in it: whatever is
// found there without one is the rubbish of somebody who was killed.
type staging struct {
	at   *opened
	name string
	lock *os.File // the folder itself, locked
	dir  *os.Root // the same

	// merged is when the system merged what is in the place; zero if it hasn't.
	merged     time.Time
	noExchange bool
}

// stage makes the staging folder of a place and clears what an interrupted
// command has left in it. If another process is at work it returns a *BusyError.
func (o *opened) stage(machine *os.Root) (*staging, error) {
	s := &staging{at: o, name: o.stageName(), merged: mergedAt(machine, o.Place)}
	if err := s.acquire(); err != nil {
		return nil, err
	}
	err := s.settle()
	if err == nil {
		err = s.dir.Mkdir(newContent, 0o700)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing %q: %w", s.path(), err), s.end())
	}
	return s, nil
}

func (o *opened) stageName() string { return stagePrefix + o.name + stageSuffix }

// recover puts back what an interrupted exchange by hand has left nowhere.
func (o *opened) recover(machine *os.Root) error {
	if _, err := o.folder.Lstat(o.stageName()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := o.stage(machine)
	if err != nil {
		return err
	}
	return s.end()
}

func (s *staging) path() string { return filepath.Join(filepath.Dir(s.at.Path), s.name) }

// acquire makes the folder, unless there is one, and locks it.
func (s *staging) acquire() error {
	for {
		if err := s.at.folder.Mkdir(s.name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making a folder beside %q: %w", s.at.Path, underMerge(err, s.at.Path))
		}
		lock, err := s.at.folder.OpenFile(s.name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its owner has just removed it
		}
		if err != nil {
			return fmt.Errorf("opening the folder %q: %w", s.name, err)
		}
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			lock.Close()
			return hint.Wrap(&BusyError{s.at.Path}, "wait for it to end, and try again")
		}
		if err != nil {
			lock.Close()
			return fmt.Errorf("locking the folder %q: %w", s.name, err)
		}
		if s.same(lock) {
			s.lock = lock
			break
		}
		lock.Close() // its owner has removed it while it was opened
	}
	dir, err := s.at.folder.OpenRoot(s.name)
	if err != nil {
		return errors.Join(err, s.lock.Close())
	}
	s.dir = dir
	return s.mine()
}

// same says whether the folder that is open still has its name.
func (s *staging) same(lock *os.File) bool {
	is, err := lock.Stat()
	if err != nil {
		return false
	}
	named, err := s.at.folder.Lstat(s.name)
	return err == nil && os.SameFile(is, named)
}

// mine refuses a folder that somebody else has laid there, and closes it to
// others: what is in it may not be theirs to read yet.
func (s *staging) mine() error {
	info, err := s.lock.Stat()
	if err == nil {
		err = checkOwner(info)
	}
	if err == nil {
		err = s.lock.Chmod(0o700)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("using the folder %q: %w", s.path(), err), s.dir.Close(), s.lock.Close())
	}
	return nil
}

// settle puts back what an interrupted exchange by hand has set aside, and clears
// the rest.
func (s *staging) settle() error {
	if _, err := s.dir.Lstat(oldTree); err == nil {
		if _, err := s.at.folder.Lstat(s.at.name); errors.Is(err, fs.ErrNotExist) {
			if err := s.renameOut(oldTree, 0); err != nil {
				return fmt.Errorf("putting %q back: %w", s.at.Path, err)
			}
		}
	}
	return s.clear()
}

// clear empties the staging folder, but for what is in use.
func (s *staging) clear() error {
	for _, name := range []string{newContent, newTree, oldTree, inUse} {
		if name == inUse && s.used(name) {
			continue
		}
		if err := removeAll(s.dir, name); err != nil {
			return err
		}
	}
	return nil
}

// keep sets aside what was in the place before, if the system has it merged: to
// take its files away now would take them out of the running system. It says
// whether it did.
func (s *staging) keep(since time.Time) (bool, error) {
	if s.merged.IsZero() || since.After(s.merged) {
		return false, nil
	}
	name := newTree
	if _, err := s.dir.Lstat(oldTree); err == nil {
		name = oldTree
	}
	if err := removeAll(s.dir, inUse); err != nil {
		return false, err
	}
	if err := s.dir.Rename(name, inUse); err != nil {
		return false, err
	}
	// Not every file system notes when a folder was renamed.
	info, err := s.dir.Lstat(inUse)
	if err != nil {
		return true, err
	}
	return true, s.dir.Chmod(inUse, info.Mode())
}

// used says whether what was set aside is what is merged: nothing was merged since.
func (s *staging) used(name string) bool {
	info, err := s.dir.Lstat(name)
	return err == nil && !s.merged.IsZero() && !changed(info).Before(s.merged)
}

// changed is when a folder was renamed last, or its attributes were set.
func changed(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctim.Unix())
	}
	return time.Time{}
}

// end removes the staging folder with what is in it and not in use, and lets
// others in. The error matters only to who wants the room back: the next one
// clears it.
func (s *staging) end() error {
	err := s.clear()
	if err == nil && !s.used(inUse) {
		err = s.at.folder.Remove(s.name)
	}
	return errors.Join(err, s.leave())
}

// leave lets others in, and leaves all where it is.
func (s *staging) leave() error { return errors.Join(s.dir.Close(), s.lock.Close()) }

// removeAll removes a tree, folders that their owner may not write to included.
func removeAll(dir *os.Root, name string) error {
	err := dir.RemoveAll(name)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	walkErr := fs.WalkDir(dir.FS(), name, func(at string, e fs.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			// The folder is looked at before it is read, and read again after this.
			return dir.Chmod(at, 0o700)
		}
		return nil
	})
	return errors.Join(walkErr, dir.RemoveAll(name))
}
