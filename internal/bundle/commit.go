package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// checkOwner refuses what belongs neither to root nor to who runs this.
func checkOwner(info fs.FileInfo) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	if ok && (s.Uid == 0 || int64(s.Uid) == int64(os.Geteuid())) {
		return nil
	}
	return hint.Wrap(errors.New("it belongs to somebody else"), "see what is in it, and remove it")
}

// occupied says what is at the place: nothing or an empty folder (false), or
// something that Replace is about. What is no folder is an error.
func (o *opened) occupied() (bool, error) {
	info, err := o.folder.Lstat(o.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		return false, hint.Wrap(fmt.Errorf("%q is there, and is no folder", o.Path), "remove it, or name another folder")
	}
	f, err := o.folder.Open(o.name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, err = f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return true, err
}

// commit writes the new tree through to the disk and puts it in its place, in one
// step. What was there before is in the staging folder then. After an error the
// old one is where it was.
func (s *staging) commit() error {
	if err := unix.Syncfs(int(s.lock.Fd())); err != nil {
		return fmt.Errorf("writing %q through to the disk: %w", s.at.Path, err)
	}
	if err := s.unlocked(s.appear); err != nil {
		return fmt.Errorf("naming %q: %w", s.at.Path, s.explain(err))
	}
	// Without this the name itself may be lost with the power.
	if err := s.at.handle.Sync(); err != nil {
		return fmt.Errorf("writing the folder of %q through to the disk: %w", s.at.Path, err)
	}
	return nil
}

// unlocked does what moves folders. Who is not root may not move one that he may not
// write to, as its ".." changes: then both are opened to him for that moment.
func (s *staging) unlocked(move func() error) error {
	err := move()
	if !errors.Is(err, unix.EACCES) {
		return err
	}
	info, err := s.dir.Lstat(newTree)
	if err != nil {
		return err
	}
	const own = 0o700
	if err := s.dir.Chmod(newTree, info.Mode()|own); err != nil {
		return err
	}
	old, oldErr := s.at.folder.Lstat(s.at.name)
	if oldErr == nil {
		if err := s.at.folder.Chmod(s.at.name, old.Mode()|own); err != nil {
			return err
		}
	}
	if err := move(); err != nil {
		if oldErr == nil {
			err = errors.Join(err, s.at.folder.Chmod(s.at.name, old.Mode()))
		}
		return err
	}
	return s.at.folder.Chmod(s.at.name, info.Mode())
}

func (s *staging) appear() error {
	err := s.renameOut(newTree, unix.RENAME_NOREPLACE)
	switch {
	case unknownFlag(err):
		if _, statErr := s.at.folder.Lstat(s.at.name); errors.Is(statErr, fs.ErrNotExist) {
			return s.renameOut(newTree, 0)
		}
	case !errors.Is(err, unix.EEXIST):
		return err
	}
	if !s.noExchange {
		if err = s.renameOut(newTree, unix.RENAME_EXCHANGE); !unknownFlag(err) {
			return err
		}
	}
	return s.byHand()
}

// byHand replaces the old tree where the file system knows no exchange. Killed in
// between, the next command puts the old one back.
func (s *staging) byHand() error {
	if err := unix.Renameat(int(s.at.handle.Fd()), s.at.name, int(s.lock.Fd()), oldTree); err != nil {
		return err
	}
	err := s.renameOut(newTree, 0)
	if err == nil {
		return nil
	}
	return errors.Join(err, s.renameOut(oldTree, 0))
}

// renameOut gives what is in the staging folder the final name.
func (s *staging) renameOut(from string, flags uint) error {
	if flags == 0 {
		return unix.Renameat(int(s.lock.Fd()), from, int(s.at.handle.Fd()), s.at.name)
	}
	return unix.Renameat2(int(s.lock.Fd()), from, int(s.at.handle.Fd()), s.at.name, flags)
}

// unknownFlag says whether a file system or a kernel doesn't know the flag.
func unknownFlag(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP)
}

func (s *staging) explain(err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return hint.Wrap(err, "something is mounted there: unmount it, or name a folder below it")
	case errors.Is(err, unix.EXDEV):
		return hint.Wrap(err, "the folder there comes from another layer of an overlay, or another subvolume: remove it first, or name another folder")
	}
	return err
}
