package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

const (
	// maxHolder bounds what is believed of the text in a lock file.
	maxHolder = 512
	// The lock is asked for again and again, ever less often: there is no way
	// to wait for one that a context can end.
	// No wait at all is too short: Problems takes the lock for an instant, too.
	shortestWait = 10 * time.Millisecond
	firstPause   = 2 * time.Millisecond
	lastPause    = 50 * time.Millisecond
)

// BusyError says that another process is changing the store.
type BusyError struct {
	// By is who: its command and process id, as far as it told.
	By string
}

func (e *BusyError) Error() string { return "the store is in use by " + e.By }

// Lock makes this Store the only one that may change the store, and undoes
// what an interrupted command has left half done. If another one holds the
// lock, it waits for as long as wait says and then returns a *BusyError.
// command is what others are told meanwhile. It creates the store if need be.
//
// The kernel frees the lock of a process that has died, however it died.
func (s *Store) Lock(ctx context.Context, wait time.Duration, command string) (unlock func() error, err error) {
	if s.held != nil {
		return nil, errors.New("the store is locked already")
	}
	if err := s.make(); err != nil {
		return nil, err
	}
	f, err := s.acquire(ctx, wait)
	if err != nil {
		return nil, s.explain(fmt.Errorf("locking the store \"/%s\": %w", s.at, err))
	}
	s.held, s.command = f, command
	if err := s.settle(f, command); err != nil {
		s.held = nil
		return nil, errors.Join(s.explain(err), f.Close())
	}
	return s.unlock, nil
}

// acquire opens the lock file and locks it.
func (s *Store) acquire(ctx context.Context, wait time.Duration) (*os.File, error) {
	deadline := time.Now().Add(max(wait, shortestWait))
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		f, err := s.openLock()
		if err != nil {
			return nil, err
		}
		if err := waitFor(ctx, f, deadline); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		// Somebody who removed the file meanwhile took its lock along.
		is, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if named, err := s.dir.Lstat(lockFile); err == nil && os.SameFile(is, named) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

// waitFor locks f, or says who holds it when the time is over.
func waitFor(ctx context.Context, f *os.File, deadline time.Time) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return hint.Wrap(&BusyError{By: holder(f)}, "wait for it to end, or let this command wait with --wait")
		}
		t := time.NewTimer(min(pause, left))
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// openLock opens the lock file for this user alone: whoever can open it can
// hold it for ever.
func (s *Store) openLock() (*os.File, error) {
	info, err := s.dir.Lstat(lockFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := s.disk.step("create", lockFile); err != nil {
			return nil, err
		}
		f, err := s.dir.OpenFile(lockFile, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
		// Another command was faster.
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, hint.Wrap(fmt.Errorf("opening %q: %w", lockFile, errNotRegular),
			fmt.Sprintf("move \"/%s\" away; inlay makes it anew", path.Join(s.at, lockFile)))
	}
	return openRegular(s.dir, lockFile, os.O_RDWR)
}

// holder returns who holds the lock, in words.
func holder(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxHolder))
	clean := strings.TrimSpace(strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, string(text)))
	if err != nil || clean == "" {
		return "another command"
	}
	return clean
}

// settle says who holds the lock, and clears what others have left.
func (s *Store) settle(f *os.File, command string) error {
	by := fmt.Sprintf("%q (process %d)\n", command, os.Getpid())
	if command == "" {
		by = fmt.Sprintf("process %d\n", os.Getpid())
	}
	if err := s.disk.truncate(f, 0); err != nil {
		return fmt.Errorf("writing to the lock: %w", err)
	}
	// To say who it is needs a block, which a full disk doesn't have.
	if err := s.disk.writeAt(f, []byte(by), 0); err != nil && !noSpace(err) {
		return fmt.Errorf("writing to the lock: %w", err)
	}
	if err := s.recover(); err != nil {
		return fmt.Errorf("undoing what an interrupted command left: %w", err)
	}
	return nil
}

// unlock undoes a change that nobody kept, and lets others in.
func (s *Store) unlock() error {
	if s.held == nil {
		return nil
	}
	var undo error
	if s.change != nil {
		c := s.change
		undo = c.Undo()
		c.end()
	}
	f := s.held
	s.held = nil
	// That nobody holds it is known from the lock itself; the text is for people.
	_ = s.disk.truncate(f, 0)
	return errors.Join(undo, f.Close())
}
