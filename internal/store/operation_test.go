package store_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"inlay/internal/store"
)

// operation is what one command does to mixedStore under the lock.
type operation struct {
	name string
	// same says that the operation leaves everything as it was.
	same bool
	run  func(s opened) error
}

func operations() []operation {
	k3s := func(s opened) []store.Image { return named(nil, s, "k3s_1.sysext.raw") }
	kept := func(c *store.Change, err error) error {
		if err != nil {
			return err
		}
		return c.Keep()
	}
	return []operation{
		{name: "enable several", run: func(s opened) error {
			return kept(s.Enable(named(nil, s, "k3s_2.sysext.raw", "loose.raw"), []store.Profile{store.Recovery, store.Common, store.Passive}))
		}},
		{name: "enable what kairos-agent has enabled", run: func(s opened) error {
			return kept(s.Enable(named(nil, s, "loose.raw", "tool_1.0.sysext.raw"), []store.Profile{store.Active}))
		}},
		{name: "enable again", same: true, run: func(s opened) error {
			return kept(s.Enable(k3s(s), []store.Profile{store.Active}))
		}},
		{name: "disable", run: func(s opened) error {
			return kept(s.Disable(named(nil, s, "k3s_1.sysext.raw", "tool_1.0.sysext.raw"), store.Profiles()))
		}},
		{name: "remove several", run: func(s opened) error {
			return kept(s.Remove(named(nil, s, "k3s_1.sysext.raw", "loose.raw", "gone.sysext.raw", "tool_1.0.sysext.raw")))
		}},
		{name: "put", run: func(s opened) error { return stage(s, "new.sysext.raw", "new") }},
		{name: "replace", run: func(s opened) error { return stage(s, "k3s_1.sysext.raw", "k3s, first, again") }},
		{name: "replace one without a record", run: func(s opened) error { return stage(s, "loose.raw", "less loose") }},
		{name: "enable now", run: func(s opened) error {
			images := named(nil, s, "k3s_2.sysext.raw", "tool_1.0.sysext.raw")
			c, err := s.Enable(images, []store.Profile{store.Recovery})
			if err == nil {
				err = c.LinkRun(images)
			}
			return kept(c, err)
		}},
		{name: "remove now", run: func(s opened) error {
			images := named(nil, s, "k3s_1.sysext.raw", "tool_1.0.sysext.raw")
			c, err := s.Remove(images)
			if err == nil {
				err = c.UnlinkRun(images)
			}
			return kept(c, err)
		}},
		{name: "everything, undone", same: true, run: func(s opened) error { return everything(s, (*store.Change).Undo) }},
		{name: "everything", run: func(s opened) error { return everything(s, (*store.Change).Keep) }},
	}
}

func stage(s opened, fileName, content string) error {
	st, err := s.Stage(int64(len(content)))
	if err != nil {
		return err
	}
	defer st.Discard()
	if _, err := st.Write([]byte(content)); err != nil {
		return err
	}
	return st.Commit(fileName, recordFor(content))
}

func everything(s opened, end func(*store.Change) error) error {
	st, err := s.Stage(-1)
	if err != nil {
		return err
	}
	defer st.Discard()
	if _, err := st.Write([]byte("another second")); err != nil {
		return err
	}
	old := named(nil, s, "k3s_1.sysext.raw", "tool_1.0.sysext.raw")
	now := named(nil, s, "k3s_2.sysext.raw")
	c, err := s.Begin()
	if err != nil {
		return err
	}
	for _, part := range []func() error{
		func() error { return c.Put(st, "k3s_2.sysext.raw", recordFor("another second")) },
		func() error { return c.Enable(now, []store.Profile{store.Active, store.Recovery}) },
		func() error { return c.LinkRun(now) },
		func() error { return c.Disable(old, []store.Profile{store.Active}) },
		func() error { return c.UnlinkRun(old) },
		func() error { return c.Remove(old) },
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return end(c)
}

// perform runs an operation on the store below dir as a command would.
func perform(dir string, op operation, before func(call, name string) error) error {
	return performOn(open(nil, dir, before), op)
}

func performOn(s opened, op operation) error {
	defer s.Close()
	unlock, err := s.Lock(context.Background(), time.Minute, op.name)
	if err != nil {
		return err
	}
	err = op.run(s)
	return errors.Join(err, unlock())
}

// TestOperations shows that each operation does something, or nothing.
func TestOperations(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			dir := mixedStore(t)
			old := snapshot(t, dir)
			check(t, perform(dir, op, nil))
			fsck(t, dir)
			now := snapshot(t, dir)
			if same := mapsEqual(old, now); same != op.same {
				t.Errorf("everything is as it was: %v, want %v\n%v", same, op.same, now)
			}
		})
	}
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// TestMain is the helper of TestKilled, too.
func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		helper(name)
	}
	os.Exit(m.Run())
}
