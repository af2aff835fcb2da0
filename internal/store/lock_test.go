package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"inlay/internal/store"
)

func TestBusy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := open(t, dir, nil), open(t, dir, nil)
	unlock, err := first.Lock(t.Context(), 0, "inlay sysext remove a")
	check(t, err)
	if _, err := first.Lock(t.Context(), 0, "again"); err == nil {
		t.Error("one store is locked twice")
	}
	_, err = second.Lock(t.Context(), 0, "inlay sysext list")
	busy, ok := errors.AsType[*store.BusyError](err)
	if want := fmt.Sprintf(`"inlay sysext remove a" (process %d)`, os.Getpid()); !ok || busy.By != want {
		t.Fatalf("the error is %v, want one that names %s", err, want)
	}
	begun := time.Now()
	if _, err := second.Lock(t.Context(), 200*time.Millisecond, ""); err == nil || time.Since(begun) < 200*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := second.Lock(ctx, time.Hour, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the context ends, and the error is %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { check(nil, unlock()) })
	again, err := second.Lock(t.Context(), time.Minute, "")
	check(t, err)
	check(t, again())
	check(t, again())
	if text, err := os.ReadFile(filepath.Join(dir, storeAt, ".inlay/lock")); err != nil || len(text) > 0 {
		t.Errorf("the free lock says %q: %v", text, err)
	}
}

// TestHolderIsText has a lock file with what no terminal should get.
func TestHolderIsText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := open(t, dir, nil), open(t, dir, nil)
	defer lock(t, first)()
	check(t, os.WriteFile(filepath.Join(dir, storeAt, ".inlay/lock"), []byte("\x1b[2Jme\n"+strings.Repeat("x", 1<<20)), 0o600))
	_, err := second.Lock(t.Context(), 0, "")
	if busy, ok := errors.AsType[*store.BusyError](err); !ok || strings.ContainsAny(busy.By, "\x1b\n") || len(busy.By) > 1000 {
		t.Errorf("%q", err)
	}
}

// TestStaleLock finds the lock of a process that died without a word.
func TestStaleLock(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	lockFile := filepath.Join(dir, storeAt, ".inlay/lock")
	check(t, os.WriteFile(lockFile, []byte("\"inlay\" (process 1)\n"), 0o600))
	s := open(t, dir, nil)
	unlock, err := s.Lock(t.Context(), 0, "")
	check(t, err)
	check(t, unlock())
	if info, err := os.Stat(lockFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can open the lock, and hold it: %v %v", info.Mode(), err)
	}
}

// TestSettle has somebody who only reads undo what was interrupted, clear what
// is left of it, and wait for nobody who is at work.
func TestSettle(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			old, now := beforeAndAfter(t, op)
			for at := 1; ; at++ {
				dir := mixedStore(t)
				calls := 0
				err := perform(dir, op, dies(at, &calls))
				s := open(t, dir, nil)
				s.Settle()
				if got := snapshot(t, dir); !mapsEqual(got, old) && !mapsEqual(got, now) {
					equal(t, fmt.Sprintf("dead before change %d", at), old, got)
				}
				fsck(t, dir)
				if err == nil {
					break
				}
				s.Close()
			}
		})
	}
	dir := mixedStore(t)
	s, other := open(t, dir, nil), open(t, dir, nil)
	unlock := lock(t, s)
	_, err := s.Remove(named(t, s, "k3s_1.sysext.raw"))
	check(t, err)
	half := snapshot(t, dir)
	other.Settle()
	equal(t, "settled while somebody is at work", half, snapshot(t, dir))
	unlock()

	check(t, os.WriteFile(filepath.Join(dir, storeAt, ".inlay/journal"), []byte("rubbish"), 0o644))
	other.Settle()
	if len(named(t, other, "k3s_1.sysext.raw")) != 1 {
		t.Error("a damaged journal hides images")
	}
}

// TestUnlockUndoes leaves a change that nobody ended.
func TestUnlockUndoes(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	old := snapshot(t, dir)
	s := open(t, dir, nil)
	unlock := lock(t, s)
	c, err := s.Remove(named(t, s, "k3s_1.sysext.raw"))
	check(t, err)
	if _, err := s.Disable(nil, nil); err == nil {
		t.Error("a second change while the first is open")
	}
	other := open(t, dir, nil)
	for _, p := range other.Problems() {
		if strings.Contains(p.Text, "interrupted") {
			t.Error("a change that goes on passes for one that was interrupted")
		}
	}
	unlock()
	equal(t, "unlocked", old, snapshot(t, dir))
	check(t, c.Keep())
	check(t, c.Undo())
	if err := c.Remove(nil); err == nil {
		t.Error("a change that has ended goes on")
	}
	fsck(t, dir)
}

func TestInterruptedIsTold(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	calls := 0
	if err := perform(dir, operations()[0], dies(15, &calls)); err == nil {
		t.Fatal("it did not die")
	}
	s := open(t, dir, nil)
	if p := s.Problems(); !strings.Contains(fmt.Sprint(p), "interrupted") {
		t.Errorf("no problem says so: %+v", p)
	}
	settle(t, dir, nil)
	if p := s.Problems(); strings.Contains(fmt.Sprint(p), "interrupted") {
		t.Errorf("still: %+v", p)
	}
}

// TestConcurrent has many commands at once, each with an image of its own and
// one that all of them replace.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	const many = 200
	dir := mixedStore(t)
	var all sync.WaitGroup
	failures := make(chan error, many)
	for i := range many {
		all.Go(func() { failures <- concurrent(dir, i) })
	}
	all.Wait()
	for range many {
		check(t, <-failures)
	}
	fsck(t, dir)
	s := open(t, dir, nil)
	images, err := s.Images()
	check(t, err)
	found := map[string]store.Image{}
	for _, i := range images {
		found[i.FileName] = i
	}
	for i := range many {
		image, there := found[fmt.Sprintf("k3s-%d.sysext.raw", i)]
		switch {
		case i%4 == 3:
			if there {
				t.Errorf("%d was removed, and is there", i)
			}
		case !there, image.Record == nil, len(image.Profiles) != 2, !image.Linked:
			t.Errorf("%d is %+v", i, image)
		}
	}
	if shared := found["shared.sysext.raw"]; shared.Record == nil || shared.Size == 0 {
		t.Errorf("the image that all replaced is %+v", shared)
	}
}

func concurrent(dir string, i int) error {
	s := open(nil, dir, nil)
	defer s.Close()
	name := fmt.Sprintf("k3s-%d.sysext.raw", i)
	for _, op := range []func() error{
		func() error { return stage(s, name, name) },
		func() error {
			c, err := s.Enable([]store.Image{{FileName: name}}, []store.Profile{store.Active, store.Common})
			if err != nil {
				return err
			}
			return errors.Join(c.LinkRun([]store.Image{{FileName: name}}), c.Keep())
		},
		func() error { return stage(s, "shared.sysext.raw", name) },
		func() error {
			if i%4 != 3 {
				return nil
			}
			c, err := s.Remove([]store.Image{{FileName: name}})
			if err != nil {
				return err
			}
			return errors.Join(c.UnlinkRun([]store.Image{{FileName: name}}), c.Keep())
		},
	} {
		unlock, err := s.Lock(context.Background(), 5*time.Minute, name)
		if err != nil {
			return err
		}
		if err := errors.Join(op(), unlock()); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	return nil
}

// TestConcurrentProcesses has processes at once, some of which are killed.
func TestConcurrentProcesses(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	check(t, err)
	dir := mixedStore(t)
	var all sync.WaitGroup
	for i := range 24 {
		all.Go(func() {
			c := exec.CommandContext(t.Context(), self)
			c.Env = append(os.Environ(), helperVariable+"=put", folderVariable+"="+dir, crashVariable+"="+fmt.Sprint(i*2))
			_ = c.Run() // half of them are killed
		})
	}
	all.Wait()
	settle(t, dir, nil)
	fsck(t, dir)
	if image := named(t, open(t, dir, nil), "new.sysext.raw")[0]; image.Record == nil {
		t.Errorf("those that were not killed put nothing: %+v", image)
	}
}
