package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/bootstate"
	"inlay/internal/hint"
	"inlay/internal/node"
	"inlay/internal/osrelease"
	"inlay/internal/store"
	"inlay/test/sample"
)

// TestRefreshFails: what cannot be merged is undone, on disk and live, and what
// was merged before is merged again.
func TestRefreshFails(t *testing.T) {
	t.Parallel()
	once := func() func() error {
		failed := false
		return func() error {
			if failed {
				return nil
			}
			failed = true
			return errMerge
		}
	}
	for name, do := range map[string]func(m machine) error{
		"enable": func(m machine) error {
			_, err := m.Enable(t.Context(), of(use(store.Active, store.Recovery), "other"))
			return err
		},
		"disable": func(m machine) error {
			_, err := m.Disable(t.Context(), of(use(store.Active), "tool"))
			return err
		},
		"remove": func(m machine) error {
			_, err := m.Remove(t.Context(), of(use(), "tool"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.have(t, sample.Image{Name: "tool"})
			m.have(t, sample.Image{Name: "other"})
			_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
			must(t, err)
			before := m.tree(t)
			m.merger.fails = once()
			err = do(m)
			if !errors.Is(err, errMerge) || !strings.HasPrefix(err.Error(), "nothing was changed, since merging failed: ") {
				t.Errorf("got %v", err)
			}
			if advice := hint.Of(err); len(advice) != 1 {
				t.Errorf("hints %q", advice)
			}
			if diff := cmp.Diff(before, m.tree(t)); diff != "" {
				t.Errorf("it is not as it was (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"tool"}, m.merger.merged); diff != "" {
				t.Errorf("merged: %s", diff)
			}
		})
	}
}

// TestMergeAgainFails: that nothing could be merged again is told, the same reason
// once, and the disk is as it was.
func TestMergeAgainFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		second error
		want   string
	}{
		"the same reason": {errMerge, "nothing was changed, since merging failed: the kernel says no\nwhat was there cannot be merged again either"},
		"another reason":  {errors.New("no space"), "nothing was changed, since merging failed: the kernel says no\nmerging again what was there: no space"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.have(t, sample.Image{Name: "tool"})
			before := m.tree(t)
			next := errMerge
			m.merger.fails = func() error {
				err := next
				next = c.second
				return err
			}
			_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
			if err == nil || err.Error() != c.want || !errors.Is(err, errMerge) || len(hint.Of(err)) == 0 {
				t.Errorf("got %v, hints %q", err, hint.Of(err))
			}
			if diff := cmp.Diff(before, m.tree(t)); diff != "" {
				t.Errorf("it is not as it was (-before +after):\n%s", diff)
			}
		})
	}
}

func TestDisableNow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		enabled, disabled []store.Profile
		stays             bool
	}{
		"its only profile":         {[]store.Profile{store.Active}, []store.Profile{store.Active}, false},
		"one that is not booted":   {[]store.Profile{store.Active, store.Passive}, []store.Profile{store.Passive}, true},
		"common has it too":        {[]store.Profile{store.Active, store.Common}, []store.Profile{store.Active}, true},
		"both":                     {[]store.Profile{store.Active, store.Common}, []store.Profile{store.Active, store.Common}, false},
		"left to one not booted":   {[]store.Profile{store.Active, store.Recovery}, []store.Profile{store.Active}, false},
		"never was in this one":    {[]store.Profile{store.Active}, []store.Profile{store.Common}, true},
		"all, with what is booted": {store.Profiles(), store.Profiles(), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.have(t, sample.Image{Name: "tool"})
			_, err := m.Enable(t.Context(), of(use(c.enabled...), "tool"))
			must(t, err)
			result, err := m.Disable(t.Context(), of(use(c.disabled...), "tool"))
			must(t, err)
			e := m.entry(t, "tool")
			if e.Merged != c.stays || e.Linked != c.stays || len(result.Notes) > 0 != c.stays || !result.Refreshed {
				t.Errorf("merged %v, linked %v, notes %q, refreshed %v; want it to stay: %v", e.Merged, e.Linked, result.Notes, result.Refreshed, c.stays)
			}
			for _, p := range c.disabled {
				if slices.Contains(e.Profiles, p) {
					t.Errorf("it is still enabled for %s", p)
				}
			}
		})
	}
}

// TestEnableNow: only what was booted is concerned.
func TestEnableNow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state   *bootstate.Report
		profile store.Profile
		merged  bool
	}{
		"booted":             {&bootstate.Report{Profile: "passive"}, store.Passive, true},
		"common":             {&bootstate.Report{Profile: "passive"}, store.Common, true},
		"another":            {&bootstate.Report{Profile: "passive"}, store.Active, false},
		"live medium":        {&bootstate.Report{State: bootstate.LiveCD}, store.Active, false},
		"common, live":       {&bootstate.Report{State: bootstate.LiveCD}, store.Common, true},
		"nothing is known":   {nil, store.Recovery, false},
		"auto-reset":         {&bootstate.Report{State: bootstate.AutoReset, Profile: "recovery"}, store.Recovery, true},
		"auto-reset, active": {&bootstate.Report{State: bootstate.AutoReset, Profile: "recovery"}, store.Active, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, func(o *node.Options) { o.State = c.state })
			m.have(t, sample.Image{Name: "tool"})
			result, err := m.Enable(t.Context(), of(use(c.profile), "tool"))
			must(t, err)
			e := m.entry(t, "tool")
			if e.Merged != c.merged || e.Linked != c.merged || result.Refreshed != c.merged || len(result.Notes) == 0 != c.merged || !result.Done {
				t.Errorf("%+v, %+v; want merged: %v", e, result, c.merged)
			}
			// Again: nothing changes, and it still acts.
			m.merger.merged = nil
			result, err = m.Enable(t.Context(), of(use(c.profile), "tool"))
			must(t, err)
			if result.Done || m.entry(t, "tool").Merged != c.merged {
				t.Errorf("again: %+v", result)
			}
		})
	}
}

// TestPassedOver: a refresh that leaves an extension out without a word is told of.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.merger.leaves = []string{"tool"}
	m.have(t, sample.Image{Name: "tool"})
	result, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
	must(t, err)
	if len(result.Notes) != 1 || !strings.HasPrefix(result.Notes[0], "tool is enabled and was not merged: inlay sysext explain tool") {
		t.Errorf("notes %q", result.Notes)
	}
}

// TestRefusedNow: to enable what a refresh leaves out for a reason of its own fails,
// and all is put back; what doesn't concern the command is no reason.
func TestRefusedNow(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.merger.refuses = map[string]string{"tool": "block 7 is not what was signed"}
	m.have(t, sample.Image{Name: "tool"})
	m.have(t, sample.Image{Name: "other"})
	before := m.tree(t)
	_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
	want := "nothing was changed, since merging failed: tool was left out: block 7 is not what was signed"
	if err == nil || err.Error() != want || len(hint.Of(err)) != 1 {
		t.Errorf("%v, hints %q", err, hint.Of(err))
	}
	if diff := cmp.Diff(before, m.tree(t)); diff != "" {
		t.Errorf("it is not as it was (-before +after):\n%s", diff)
	}
	result, err := m.Enable(t.Context(), of(use(store.Active), "other"))
	must(t, err)
	if !result.Refreshed || len(result.Notes) > 0 {
		t.Errorf("%+v", result)
	}
	if e := m.entry(t, "other"); !e.Merged || e.Guarantee != "checked copy" {
		t.Errorf("%+v", e)
	}
	if e := m.entry(t, "tool"); e.Merged || e.Guarantee != "" {
		t.Errorf("%+v", e)
	}
}

// TestSeen shows what whoever merges says of an extension.
func TestSeen(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.have(t, sample.Image{Name: "tool"})
	_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
	must(t, err)
	m.merger.faults = map[string]string{"tool": "a block has changed"}
	if e := m.entry(t, "tool"); !e.Merged || e.Why != "a block has changed" {
		t.Errorf("%+v", e)
	}
	e, err := m.Explain(t.Context(), "tool")
	must(t, err)
	if e.Why != "a block has changed" || e.Stopped != "" {
		t.Errorf("%+v", e)
	}
	m.merger.faults, m.merger.merged = nil, nil
	m.merger.refuses = map[string]string{"tool": "a block has changed"}
	e, err = m.Explain(t.Context(), "tool")
	must(t, err)
	if e.Stopped != "merged" || e.Why != "not merged: the last merge left it out: a block has changed" {
		t.Errorf("%+v", e)
	}
}

// TestRemoveWithoutNow leaves no link that leads nowhere, and what is merged
// alone.
func TestRemoveWithoutNow(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.have(t, sample.Image{Name: "tool"})
	_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
	must(t, err)
	result, err := m.Remove(t.Context(), node.ChangeRequest{Patterns: []string{"tool"}})
	must(t, err)
	if len(result.Notes) != 1 || result.Refreshed || !slices.Contains(m.merger.merged, "tool") {
		t.Errorf("%+v, merged %q", result, m.merger.merged)
	}
	if left := m.tree(t); slices.ContainsFunc(left, func(s string) bool { return strings.Contains(s, "tool") }) {
		t.Errorf("left: %q", left)
	}
}

// TestNothingIsMade: what changes nothing makes no store and takes no lock.
func TestNothingIsMade(t *testing.T) {
	t.Parallel()
	m := boot(t)
	if _, err := m.Enable(t.Context(), of(use(store.Active), "tool")); !node.NotFound(err) {
		t.Errorf("got %v", err)
	}
	if _, err := m.List(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if _, err := m.Status(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(m.root, "var")); err == nil {
		t.Error("there is a store now")
	}
	m.have(t, sample.Image{Name: "tool"})
	before := m.tree(t)
	r := of(use(store.Active), "tool")
	r.DryRun = true
	for name, do := range map[string]func() (*node.Changed, error){
		"enable":  func() (*node.Changed, error) { return m.Enable(t.Context(), r) },
		"disable": func() (*node.Changed, error) { return m.Disable(t.Context(), r) },
		"remove":  func() (*node.Changed, error) { return m.Remove(t.Context(), r) },
	} {
		result, err := do()
		must(t, err)
		if !result.DryRun || result.Done || result.Refreshed || !slices.Equal(result.Images, []string{"tool.sysext.raw"}) {
			t.Errorf("%s: %+v", name, result)
		}
	}
	if diff := cmp.Diff(before, m.tree(t)); diff != "" || len(m.merger.asides) > 0 {
		t.Errorf("%d refreshes, (-before +after):\n%s", len(m.merger.asides), diff)
	}
}

// TestSetAside: signatures are set aside for one that nobody here can check, if
// the policy lets it in and it is in use, and never otherwise.
func TestSetAside(t *testing.T) {
	t.Parallel()
	mine, certificate := pair(t, "mine")
	foreign, _ := pair(t, "foreign")
	alien := []osrelease.Field{{Key: "ID", Value: "alien"}, {Key: "VERSION_ID", Value: "1"}, {Key: "ARCHITECTURE", Value: "x86-64"}}
	for name, c := range map[string]struct {
		image  sample.Image
		policy string
		unused bool
		want   bool
	}{
		"unsigned":                    {sample.Image{Name: "tool"}, "any", false, false},
		"trusted":                     {sample.Image{Name: "tool", Signer: mine}, "any", false, false},
		"foreign":                     {sample.Image{Name: "tool", Signer: foreign}, "any", false, true},
		"foreign, not in use":         {sample.Image{Name: "tool", Signer: foreign}, "any", true, false},
		"foreign, verity":             {sample.Image{Name: "tool", Signer: foreign}, "verity", false, true},
		"foreign, of another system":  {sample.Image{Name: "tool", Signer: foreign, Release: alien}, "any", false, true},
		"room for a signature, empty": {sample.Image{Name: "tool", Deferred: true}, "any", false, false},
		"trusted, signatures asked":   {sample.Image{Name: "tool", Signer: mine}, "signed", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t, trusting(t, certificate), configured(t, c.policy))
			m.have(t, c.image)
			m.have(t, sample.Image{Name: "base", Signer: mine})
			if !c.unused {
				_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
				must(t, err)
			}
			m.merger.asides = nil
			_, err := m.Enable(t.Context(), of(use(store.Active), "base"))
			must(t, err)
			if !slices.Equal(m.merger.asides, []bool{c.want}) {
				t.Errorf("set aside %v, want once %v", m.merger.asides, c.want)
			}
		})
	}
	t.Run("let in before signatures were asked for", func(t *testing.T) {
		t.Parallel()
		m := boot(t)
		m.have(t, sample.Image{Name: "tool", Signer: foreign})
		_, err := m.Enable(t.Context(), of(use(store.Active), "tool"))
		must(t, err)
		m = m.with(t, trusting(t, certificate))
		m.have(t, sample.Image{Name: "base", Signer: mine})
		result, err := m.Enable(t.Context(), of(use(store.Active), "base"))
		must(t, err)
		if want := []bool{true, false}; !slices.Equal(m.merger.asides, want) {
			t.Errorf("set aside %v, want %v", m.merger.asides, want)
		}
		// It would have kept systemd from merging anything.
		if e := m.entry(t, "tool"); e.Linked || e.Merged || len(e.Profiles) != 1 || !m.entry(t, "base").Merged {
			t.Errorf("%+v", e)
		}
		want := "tool is left out of the running system, since it is refused: signed by CN=foreign, which is not the one trusted key"
		if !slices.Equal(result.Notes, []string{want}) {
			t.Errorf("notes %q", result.Notes)
		}
		if _, err := m.Enable(t.Context(), of(use(store.Common), "tool")); err == nil {
			t.Error("it is enabled once more")
		} else if _, ok := errors.AsType[*node.RefusedError](err); !ok {
			t.Error(err)
		}
	})
}
