package node_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/node"
	"inlay/internal/store"
	"inlay/test/sample"
)

// killed is the journal of an "enable --now" that was killed after the merge.
const killed = `{"version":1,"live":true,"steps":[
	{"place":"run","name":"tool.sysext.raw","now":{"link":"../../var/lib/kairos/extensions/tool.sysext.raw"}},
	{"place":"active","name":"tool.sysext.raw","now":{"link":"../tool.sysext.raw"}}]}`

// TestKilledAfterMerge: the next command that changes the store merges anew, once,
// and says so; one that only looks undoes the links, and tells of the rest.
func TestKilledAfterMerge(t *testing.T) {
	t.Parallel()
	disable := func(m machine) ([]string, error) {
		r, err := m.Disable(t.Context(), node.ChangeRequest{Patterns: []string{"tool"}, Profiles: []store.Profile{store.Recovery}})
		if err != nil {
			return nil, err
		}
		return r.Notes, nil
	}
	m := boot(t)
	m.have(t, sample.Image{Name: "tool"})
	before := m.tree(t)
	_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(m.root, "var/lib/kairos/extensions/.inlay/journal"), []byte(killed), 0o644))

	m = m.with(t) // the next process
	s, err := m.Status(t.Context())
	must(t, err)
	if len(s.Problems) != 1 || s.Problems[0].Text != "the running system may still be merged as an undone command had it" {
		t.Errorf("problems %+v", s.Problems)
	}
	links := func(all []string) []string {
		return slices.DeleteFunc(all, func(s string) bool { return !strings.Contains(s, ".raw ") })
	}
	if diff := cmp.Diff(links(before), links(m.tree(t))); diff != "" {
		t.Errorf("it was not undone (-want +got)\n%s", diff)
	}
	m.merger.fails = func() error { return errMerge }
	notes, err := disable(m)
	must(t, err)
	if want := "the running system may still be merged as an undone command had it, and merging it anew failed: the kernel says no"; !slices.Equal(notes, []string{want}) {
		t.Errorf("notes %q", notes)
	}
	m.merger.fails = nil
	m.merger.merged = []string{"tool"}
	notes, err = disable(m)
	must(t, err)
	if !slices.Equal(notes, []string{"an interrupted command was undone, and the running system merged anew"}) || len(m.merger.merged) > 0 {
		t.Errorf("notes %q, merged %q", notes, m.merger.merged)
	}
	refreshes := len(m.merger.asides)
	notes, err = disable(m)
	must(t, err)
	if len(notes) > 0 || len(m.merger.asides) != refreshes {
		t.Errorf("once more: notes %q", notes)
	}
}

// TestFollows: after a merge that failed, the next command that changes the store
// merges anew if what was there could not be merged again, and only then.
func TestFollows(t *testing.T) {
	t.Parallel()
	const caughtUp = "an interrupted command was undone, and the running system merged anew"
	for name, c := range map[string]struct {
		failures  int
		cancelled bool
		now       bool
		notes     []string
		refreshes int // of the two commands after it
	}{
		"merged again":              {failures: 1},
		"merged again, interrupted": {failures: 1, cancelled: true},
		"not merged again":          {failures: 2, notes: []string{caughtUp}, refreshes: 1},
		"and with --now":            {failures: 2, now: true, notes: []string{caughtUp}, refreshes: 3},
		"not even then, but later": {failures: 3, now: true, refreshes: 3, notes: []string{
			"the running system may still be merged as an undone command had it, and merging it anew failed: the kernel says no",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.have(t, sample.Image{Name: "tool"})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			left := c.failures
			m.merger.fails = func() error {
				if left == 0 {
					return nil
				}
				if left--; c.cancelled {
					cancel()
				}
				return errMerge
			}
			if _, err := m.Enable(ctx, of(use(store.Active), "tool")); !errors.Is(err, errMerge) || strings.Contains(err.Error(), "canceled") {
				t.Errorf("got %v", err)
			}
			m.merger.asides = nil
			r := of(use(store.Common), "tool")
			r.Now = c.now
			result, err := m.Enable(t.Context(), r)
			must(t, err)
			again, err := m.Enable(t.Context(), r)
			must(t, err)
			if !slices.Equal(result.Notes, c.notes) || len(again.Notes) > 0 || len(m.merger.asides) != c.refreshes {
				t.Errorf("notes %q and %q, %d refreshes", result.Notes, again.Notes, len(m.merger.asides))
			}
		})
	}
}

// TestLeftOut: an image that is refused by now stays merged until something is to
// be merged, and comes back if that fails.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	mine, certificate := pair(t, "mine")
	m := boot(t)
	m.have(t, sample.Image{Name: "tool"})
	_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
	must(t, err)
	m = m.with(t, trusting(t, certificate))
	m.have(t, sample.Image{Name: "base", Signer: mine})
	r := of(use(store.Active), "base")
	r.Now = false
	result, err := m.Enable(t.Context(), r)
	must(t, err)
	if e := m.entry(t, "tool"); !e.Linked || !e.Merged || e.Verdict != "refused" || len(result.Notes) > 0 {
		t.Errorf("%+v, notes %q", e, result.Notes)
	}
	before := m.tree(t)
	m.merger.fails = func() error { m.merger.fails = nil; return errMerge }
	if _, err := m.Enable(t.Context(), of(use(store.Active), "base")); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff(before, m.tree(t)); diff != "" || !slices.Equal(m.merger.merged, []string{"tool"}) {
		t.Errorf("merged %q, (-before +after):\n%s", m.merger.merged, diff)
	}
	_, err = m.Disable(t.Context(), of(use(store.Active), "tool"))
	must(t, err)
	if e := m.entry(t, "tool"); e.Linked || e.Merged || len(e.Profiles) > 0 {
		t.Errorf("%+v", e)
	}
}

// TestInterrupted: what is merged is kept, and looked at, though the command was
// interrupted meanwhile.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.have(t, sample.Image{Name: "tool"})
	ctx, cancel := context.WithCancel(t.Context())
	m.merger.fails = func() error { cancel(); return nil }
	result, err := m.Enable(ctx, of(use(store.Active), "tool"))
	must(t, err)
	if !result.Done || len(result.Notes) > 0 || !m.entry(t, "tool").Merged {
		t.Errorf("%+v", result)
	}
}

// TestNotKept: a change that went live and cannot be kept is undone live, too.
func TestNotKept(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.have(t, sample.Image{Name: "tool"})
	before := m.tree(t)
	m.merger.fails = func() error {
		// What should be removed to keep the change is a folder now, in use.
		m.merger.fails = nil
		journal := filepath.Join(m.root, "var/lib/kairos/extensions/.inlay/journal")
		must(t, os.Remove(journal))
		must(t, os.MkdirAll(filepath.Join(journal, "busy"), 0o755))
		return nil
	}
	if _, err := m.Enable(t.Context(), of(use(store.Active), "tool")); err == nil || !strings.Contains(err.Error(), "keeping the change") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, m.tree(t)); diff != "" {
		t.Errorf("it is not as it was (-before +after):\n%s", diff)
	}
	if len(m.merger.asides) != 2 || len(m.merger.merged) > 0 {
		t.Errorf("%d refreshes, merged %q", len(m.merger.asides), m.merger.merged)
	}
}
