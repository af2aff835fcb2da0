package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/store"
)

// TestRefused has changes that cannot be made: everything stays, with advice.
func TestRefused(t *testing.T) {
	t.Parallel()
	everywhere := store.Profiles()
	for name, c := range map[string]struct {
		prepare func(dir string) error
		do      func(s opened) error
		want    string
	}{
		"enabling what is not there": {nil, func(s opened) error {
			_, err := s.Enable(named(nil, s, "k3s_1.sysext.raw", "none.raw"), everywhere)
			return err
		}, "no such extension"},
		"enabling a dangling link": {nil, func(s opened) error {
			_, err := s.Enable(named(nil, s, "gone.sysext.raw"), everywhere)
			return err
		}, "no such extension"},
		"enabling over a file": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, storeAt, "common/k3s_2.sysext.raw"), nil, 0o644)
		}, func(s opened) error {
			_, err := s.Enable(named(nil, s, "k3s_2.sysext.raw"), everywhere)
			return err
		}, "is a file"},
		"a profile that is a file": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, storeAt, "recovery"), nil, 0o644)
		}, func(s opened) error {
			_, err := s.Enable(named(nil, s, "k3s_2.sysext.raw"), everywhere)
			return err
		}, "no folder"},
		"an unknown profile": {nil, func(s opened) error {
			_, err := s.Enable(named(nil, s, "k3s_2.sysext.raw"), []store.Profile{"../.."})
			return err
		}, "unknown profile"},
		"removing what is not there": {nil, func(s opened) error {
			_, err := s.Remove([]store.Image{{FileName: "none.raw"}})
			return err
		}, "no such extension"},
		"a name that systemd won't take": {nil, func(s opened) error { return stage(s, ".#a.sysext.raw", "a") }, "no name for a file"},
		"a name with a slash":            {nil, func(s opened) error { return stage(s, "active/a.sysext.raw", "a") }, "no name for a file"},
		"another suffix":                 {nil, func(s opened) error { return stage(s, "a.img", "a") }, "passed over"},
		"another kind":                   {nil, func(s opened) error { return stage(s, "a.confext.raw", "a") }, "is no sysext"},
		"a long name":                    {nil, func(s opened) error { return stage(s, strings.Repeat("a", 249)+".raw", "a") }, "too long"},
		"over a folder": {func(dir string) error {
			return os.Mkdir(filepath.Join(dir, storeAt, "a.sysext.raw"), 0o755)
		}, func(s opened) error { return stage(s, "a.sysext.raw", "a") }, "no file"},
		"linking over another's link": {func(dir string) error {
			return os.Symlink("/srv/k3s.raw", filepath.Join(dir, runAt, "k3s_2.sysext.raw"))
		}, func(s opened) error {
			c, err := s.Enable(named(nil, s, "k3s_2.sysext.raw"), everywhere)
			check(nil, err)
			return c.LinkRun(named(nil, s, "k3s_2.sysext.raw"))
		}, "not from the store"},
		"linking over another's file": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, runAt, "k3s_2.sysext.raw"), nil, 0o644)
		}, func(s opened) error {
			c, err := s.Enable(named(nil, s, "k3s_2.sysext.raw"), everywhere)
			check(nil, err)
			return c.LinkRun(named(nil, s, "k3s_2.sysext.raw"))
		}, "not from the store"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := mixedStore(t)
			if c.prepare != nil {
				check(t, c.prepare(dir))
			}
			old := snapshot(t, dir)
			s := open(t, dir, nil)
			unlock := lock(t, s)
			err := c.do(s)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
			t.Log(err, hint.Of(err))
			equal(t, "refused", old, snapshot(t, dir))
			unlock()
			fsck(t, dir)
		})
	}
}

// TestNothingToDo is about changes that change nothing.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	s := open(t, dir, nil)
	defer lock(t, s)()
	images := named(t, s, "k3s_1.sysext.raw")
	c, err := s.Enable(images, []store.Profile{store.Active})
	check(t, err)
	check(t, c.LinkRun(images))
	check(t, c.Disable(images, []store.Profile{store.Recovery}))
	if !c.Empty() {
		t.Error("something was done")
	}
	check(t, c.UnlinkRun(images))
	if c.Empty() {
		t.Error("nothing was done")
	}
	check(t, c.Undo())
	c, err = s.Remove(named(t, s, "gone.sysext.raw"))
	keep(t, c, err)
	if i := named(t, s, "gone.sysext.raw")[0]; i.Missing {
		t.Error("the links of an image that is gone remain")
	}
}

// TestAliases has links of other names than the image's.
func TestAliases(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	check(t, os.Symlink("../k3s_1.sysext.raw", filepath.Join(dir, storeAt, "common/k3s.sysext.raw")))
	check(t, os.Symlink("/"+storeAt+"/common/k3s.sysext.raw", filepath.Join(dir, runAt, "k3s.sysext.raw")))
	s := open(t, dir, nil)
	defer lock(t, s)()
	images := named(t, s, "k3s_1.sysext.raw")
	equal(t, "profiles", []store.Profile{store.Active, store.Passive, store.Common}, images[0].Profiles)
	c, err := s.Begin()
	check(t, err)
	check(t, c.UnlinkRun(images))
	check(t, c.Remove(images))
	check(t, c.Keep())
	for name, what := range snapshot(t, dir) {
		if strings.Contains(what, "k3s_1") || strings.Contains(name, "k3s_1") || strings.Contains(name, "k3s.sysext") {
			t.Errorf("%s %s", name, what)
		}
	}
}

// TestOtherBoot undoes a change of an earlier boot: the run folder is another.
func TestOtherBoot(t *testing.T) {
	t.Parallel()
	op := operation{name: "disable now", run: func(s opened) error {
		c, err := s.Disable(named(nil, s, "k3s_1.sysext.raw"), store.Profiles())
		if err == nil {
			err = c.UnlinkRun(named(nil, s, "k3s_1.sysext.raw"))
		}
		if err == nil {
			err = errDead // with the power
		}
		return err
	}}
	for name, boot := range map[string]string{"same": "one", "other": "two"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := mixedStore(t)
			id := filepath.Join(dir, "proc/sys/kernel/random/boot_id")
			check(t, os.MkdirAll(filepath.Dir(id), 0o755))
			check(t, os.WriteFile(id, []byte("one\n"), 0o644))
			old := snapshot(t, dir)
			s := open(t, dir, nil)
			_ = lock(t, s) // and it stays locked until it is closed
			if err := op.run(s); !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			check(t, os.WriteFile(id, []byte(boot), 0o644))
			crashed := copyStore(t, dir)
			settle(t, crashed, nil)
			got := snapshot(t, crashed)
			for _, n := range []string{storeAt + "/active/k3s_1.sysext.raw", storeAt + "/passive/k3s_1.sysext.raw"} {
				if got[n] != old[n] {
					t.Errorf("%s: %q, want %q", n, got[n], old[n])
				}
			}
			link := runAt + "/k3s_1.sysext.raw"
			if put := got[link] == old[link]; put != (boot == "one") {
				t.Errorf("the run folder's link was put back: %v", put)
			}
		})
	}
}

// copyStore copies what is below dir, but for the lock that is held on it.
func copyStore(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	check(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// TestHiddenStaging is for file systems that know no nameless files.
func TestHiddenStaging(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	none := func(call, name string) error {
		if call == "create" && name == "" {
			return unix.EOPNOTSUPP
		}
		return nil
	}
	s := open(t, dir, none)
	staging := filepath.Join(dir, storeAt, ".inlay/staging")
	st, err := s.Stage(3)
	check(t, err)
	_, err = st.Write([]byte("new"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(staging, "left"), []byte("by the dead"), 0o644))
	unlock := lock(t, s)
	if entries, err := os.ReadDir(staging); err != nil || len(entries) != 1 || entries[0].Name() == "left" {
		t.Errorf("the lock leaves %v: %v", entries, err)
	}
	check(t, st.Commit("k3s_1.sysext.raw", recordFor("new")))
	equal(t, "record", "sha256:of new", named(t, s, "k3s_1.sysext.raw")[0].Record.Digest)
	st, err = s.Stage(3)
	check(t, err)
	st.Discard()
	unlock()
	fsck(t, dir)
}

// TestStaged writes as a download does that starts over.
func TestStaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	st, err := s.Stage(1 << 20)
	check(t, err)
	_, err = st.WriteAt([]byte("wrong and long"), 0)
	check(t, err)
	check(t, st.Truncate(0))
	for _, part := range []string{"ri", "ght"} {
		_, err := st.Write([]byte(part))
		check(t, err)
	}
	b := make([]byte, 5)
	if n, err := st.ReadAt(b, 0); err != nil || string(b[:n]) != "right" || st.Size() != 5 {
		t.Errorf("%q of %d: %v", b[:n], st.Size(), err)
	}
	if err := st.Commit("a.sysext.raw", store.Record{}); err == nil {
		t.Error("committed without the lock")
	}
	st, err = s.Stage(1 << 20)
	check(t, err)
	_, err = st.Write([]byte("right"))
	check(t, err)
	unlock := lock(t, s)
	check(t, st.Commit("a.sysext.raw", store.Record{}))
	if err := st.Commit("b.sysext.raw", store.Record{}); err == nil {
		t.Error("committed twice")
	}
	unlock()
	var stat unix.Stat_t
	check(t, unix.Stat(filepath.Join(dir, storeAt, "a.sysext.raw"), &stat))
	if stat.Size != 5 || stat.Blocks > 64 {
		t.Errorf("%d bytes take %d blocks", stat.Size, stat.Blocks)
	}
	fsck(t, dir)
}

func TestKindsAreApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := openKind(t, dir, extension.Confext(), store.Before(nil, true))
	unlock := lock(t, c)
	put(t, c, "a.confext.raw", "a")
	change, err := c.Enable(named(t, c, "a.confext.raw"), []store.Profile{store.Common})
	check(t, err)
	check(t, change.LinkRun(named(t, c, "a.confext.raw")))
	check(t, change.Keep())
	unlock()
	if text, err := os.ReadFile(filepath.Join(dir, "run/confexts/a.confext.raw")); err != nil || string(text) != "a" {
		t.Errorf("%q, %v", text, err)
	}
	if images, err := open(t, dir, nil).Images(); err != nil || len(images) > 0 {
		t.Errorf("the store for sysexts holds %v: %v", images, err)
	}
}
