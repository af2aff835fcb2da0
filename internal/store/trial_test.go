package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"inlay/internal/trial"
)

// TestFallback replaces an image that was part of a good boot, twice: what is kept
// is the good one, until nothing falls back to it.
func TestFallback(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	s := open(t, dir, nil)
	unlock := lock(t, s)
	defer unlock()
	for _, content := range []string{"k3s, bad", "k3s, worse"} {
		put(t, s, "k3s_1.sysext.raw", content)
		if got := fallback(t, s, "k3s_1.sysext.raw"); got != "k3s, first" {
			t.Fatalf("after %q one falls back to %q", content, got)
		}
	}
	put(t, s, "k3s_2.sysext.raw", "k3s, second again")
	if got := fallback(t, s, "k3s_2.sysext.raw"); got != "" {
		t.Errorf("what never booted well is kept: %q", got)
	}
	check(t, s.DropFallbacks(func(_, name string) bool { return name == "k3s_1.sysext.raw" }))
	if got := fallback(t, s, "k3s_1.sysext.raw"); got != "" {
		t.Errorf("%q is kept for ever", got)
	}
	c, err := s.Remove(named(t, s, "tool_1.0.sysext.raw"))
	keep(t, c, err)
	if _, err := os.Lstat(filepath.Join(dir, storeAt, ".inlay/good/active/tool_1.0.sysext.raw")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a removed image has replaced stays: %v", err)
	}
}

// TestFallbackOfProfiles keeps for each profile what its own last good boot used.
func TestFallbackOfProfiles(t *testing.T) {
	t.Parallel()
	const name = "k3s_1.sysext.raw"
	s := open(t, mixedStore(t), nil)
	unlock := lock(t, s)
	defer unlock()
	put(t, s, name, "k3s, next")
	state, err := s.Trials()
	check(t, err)
	state.Good("active", []trial.Image{named(t, s, name)[0].Trial()}, func(string) bool { return true }, time.Unix(2e9, 0))
	check(t, s.KeepTrials(state))
	put(t, s, name, "k3s, bad")
	for profile, want := range map[string]string{"active": "k3s, next", "passive": "k3s, first", "recovery": ""} {
		if got := fallbackOf(t, s, profile, name); got != want {
			t.Errorf("%s falls back to %q, want %q", profile, got, want)
		}
	}
	check(t, s.DropFallbacks(func(profile, _ string) bool { return profile == "active" }))
	if a, p := fallbackOf(t, s, "active", name), fallbackOf(t, s, "passive", name); a != "" || p != "k3s, first" {
		t.Errorf("one is dropped, and left are %q and %q", a, p)
	}
}

func fallback(t *testing.T, s opened, name string) string {
	t.Helper()
	return fallbackOf(t, s, "active", name)
}

func fallbackOf(t *testing.T, s opened, profile, name string) string {
	t.Helper()
	good, err := s.Fallback(profile, named(t, s, name)[0])
	check(t, err)
	if good == nil {
		return ""
	}
	f, err := s.OpenFallback(*good)
	check(t, err)
	defer f.Close()
	text := make([]byte, good.Size)
	_, err = f.ReadAt(text, 0)
	check(t, err)
	return string(text)
}

func TestTrials(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	s := open(t, dir, nil)
	image := named(t, s, "k3s_1.sysext.raw")[0]
	if err := s.KeepTrials(&trial.State{}); err == nil {
		t.Error("the state is written without the lock")
	}
	state, err := s.Trials()
	check(t, err)
	if !state.Trusted("active", image.Trial()) {
		t.Error("a good boot was forgotten")
	}
	check(t, os.Chtimes(filepath.Join(dir, storeAt, "k3s_1.sysext.raw"), time.Time{}, time.Unix(1, 0)))
	if state.Trusted("active", named(t, s, "k3s_1.sysext.raw")[0].Trial()) {
		t.Error("another file of that name has its good boot")
	}
	at := filepath.Join(dir, storeAt, ".inlay/boot.json")
	check(t, os.WriteFile(at, []byte("rubbish"), 0o644))
	state, err = s.Trials()
	if err == nil || state == nil || state.Trusted("active", image.Trial()) {
		t.Errorf("a damaged state reads as %+v, %v", state, err)
	}
	unlock := lock(t, s)
	defer unlock()
	// It must not keep anybody from downloading.
	put(t, s, "k3s_1.sysext.raw", "k3s, again")
}
