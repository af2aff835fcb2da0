package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/store"
)

// TestUndoOnFullDisk undoes while no call that needs space succeeds: what cannot
// be renewed must not stop the rest.
func TestUndoOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	old := snapshot(t, dir)
	full := false
	s := open(t, dir, func(call, _ string) error {
		if full && slices.Contains([]string{"mkdir", "symlink", "link", "create", "name", "write", "reserve"}, call) {
			return unix.ENOSPC
		}
		return nil
	})
	unlock := lock(t, s)
	c, err := s.Remove(named(t, s, "k3s_1.sysext.raw", "loose.raw"))
	check(t, err)
	full = true
	check(t, c.Undo())
	got := snapshot(t, dir)
	forgive(got, old)
	equal(t, "undone", old, got)
	unlock()
}

// TestAsideIsItsOwn keeps a change whose leftovers stay, and then has another
// one fail: it must not put back what the first has set aside.
func TestAsideIsItsOwn(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	fail := ""
	s := open(t, dir, func(call, name string) error {
		if fail != "" && strings.HasPrefix(call+" "+name, fail) {
			fail = ""
			return unix.EIO
		}
		return nil
	})
	unlock := lock(t, s)
	c, err := s.Remove(named(t, s, "k3s_2.sysext.raw"))
	check(t, err)
	fail = "remove .inlay/aside/"
	check(t, c.Keep())
	old := snapshot(t, dir)
	fail = "rename .inlay/aside/0"
	if _, err := s.Disable(named(t, s, "k3s_1.sysext.raw"), store.Profiles()); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	equal(t, "undone", old, snapshot(t, dir))
	unlock()
	fsck(t, dir)
}

// TestFoldersGo undoes a change that had to make folders.
func TestFoldersGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	defer lock(t, s)()
	put(t, s, "a.sysext.raw", "a")
	old := snapshot(t, dir)
	c, err := s.Enable(named(t, s, "a.sysext.raw"), store.Profiles())
	check(t, err)
	check(t, c.LinkRun(named(t, s, "a.sysext.raw")))
	if now := snapshot(t, dir); now[runAt] != "folder" || now[storeAt+"/common"] != "folder" {
		t.Errorf("the folders are not there: %v", now)
	}
	check(t, c.Undo())
	equal(t, "undone", old, snapshot(t, dir))
}

// TestFoldersStay has somebody use a folder that a change made.
func TestFoldersStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	defer lock(t, s)()
	put(t, s, "a.sysext.raw", "a")
	c, err := s.Enable(named(t, s, "a.sysext.raw"), store.Profiles())
	check(t, err)
	check(t, c.LinkRun(named(t, s, "a.sysext.raw")))
	check(t, os.WriteFile(filepath.Join(dir, runAt, "b.raw"), []byte("b"), 0o644))
	link := filepath.Join(dir, storeAt, "active/a.sysext.raw")
	check(t, os.Remove(link))
	check(t, os.Symlink("/srv/a.raw", link))
	image := filepath.Join(dir, storeAt, "a.sysext.raw")
	check(t, c.Undo())
	got := snapshot(t, dir)
	for name, want := range map[string]string{
		runAt + "/b.raw": "b", runAt + "/a.sysext.raw": "", storeAt + "/common": "", storeAt + "/active/a.sysext.raw": "-> /srv/a.raw",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}

	t.Log("and a file that somebody put in the place of ours")
	check(t, os.Remove(image))
	st, err := s.Stage(-1)
	check(t, err)
	c, err = s.Begin()
	check(t, err)
	check(t, c.Put(st, "a.sysext.raw", store.Record{}))
	check(t, os.WriteFile(image+".x", []byte("theirs"), 0o644))
	check(t, os.Rename(image+".x", image))
	check(t, c.Undo())
	if text, err := os.ReadFile(image); err != nil || string(text) != "theirs" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestRecordsGoWithImages(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	check(t, os.Remove(filepath.Join(dir, storeAt, "k3s_2.sysext.raw")))
	check(t, os.WriteFile(filepath.Join(dir, storeAt, ".inlay/records/rubbish"), nil, 0o644))
	settle(t, dir, nil)
	fsck(t, dir)
	if left, err := os.ReadDir(filepath.Join(dir, storeAt, ".inlay/records")); err != nil || len(left) != 1 {
		t.Errorf("%v %v", left, err)
	}
}

// TestLockFileGoes has somebody tidy up while a command waits for the lock.
func TestLockFileGoes(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	first, second, third := open(t, dir, nil), open(t, dir, nil), open(t, dir, nil)
	unlock := lock(t, first)
	locked := make(chan error)
	go func() {
		_, err := second.Lock(t.Context(), time.Minute, "second")
		locked <- err
	}()
	time.Sleep(50 * time.Millisecond) // time to open the file that goes
	at := filepath.Join(dir, storeAt, ".inlay/lock")
	check(t, os.Remove(at))
	check(t, os.WriteFile(at, nil, 0o600))
	unlock()
	check(t, <-locked)
	_, err := third.Lock(t.Context(), 0, "third")
	if _, ok := errors.AsType[*store.BusyError](err); !ok {
		t.Errorf("two hold the lock: %v", err)
	}
}

// TestOwnFoldersAreFolders has a link where inlay clears up: what it leads to
// must not be cleared.
func TestOwnFoldersAreFolders(t *testing.T) {
	t.Parallel()
	for at, target := range map[string]string{".inlay/aside": "..", ".inlay/staging": "..", ".inlay/records": "../active", ".inlay": "active"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := agentStore(t)
			check(t, os.MkdirAll(filepath.Join(dir, storeAt, filepath.Dir(at)), 0o755))
			check(t, os.Symlink(target, filepath.Join(dir, storeAt, at)))
			old := snapshot(t, dir)
			if _, err := open(t, dir, nil).Lock(t.Context(), 0, ""); err == nil || !strings.Contains(err.Error(), "not a folder") {
				t.Errorf("locked, or: %v", err)
			}
			for name, what := range old {
				if got := snapshot(t, dir)[name]; got != what {
					t.Errorf("%s is %q, want %q", name, got, what)
				}
			}
		})
	}
}
