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
	check(t, s.DropFallbacks(func(name string) bool { return name == "k3s_1.sysext.raw" }))
	if got := fallback(t, s, "k3s_1.sysext.raw"); got != "" {
		t.Errorf("%q is kept for ever", got)
	}
	c, err := s.Remove(named(t, s, "tool_1.0.sysext.raw"))
	keep(t, c, err)
	if _, err := os.Lstat(filepath.Join(dir, storeAt, ".inlay/good/tool_1.0.sysext.raw")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a removed image has replaced stays: %v", err)
	}
}

func fallback(t *testing.T, s opened, name string) string {
	t.Helper()
	good, err := s.Fallback(named(t, s, name)[0])
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
