package store_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/store"
	"inlay/internal/trial"
)

const (
	storeAt = "var/lib/kairos/extensions"
	runAt   = "run/extensions"
)

// check ends a test, or panics where there is none: in a helper process.
func check(t testing.TB, err error) {
	if err == nil {
		return
	}
	if t == nil {
		panic(err)
	}
	t.Helper()
	t.Fatal(err)
}

// opened is a Store with the root that it lies below.
type opened struct {
	*store.Store
	root *os.Root
}

func (o opened) Close() {
	o.Store.Close()
	o.root.Close()
}

// open opens the store for sysexts below dir; before may be nil.
func open(t testing.TB, dir string, before func(call, name string) error) opened {
	return openKind(t, dir, extension.Sysext(), store.Before(before, true))
}

func openKind(t testing.TB, dir string, k extension.Kind, o store.Options) opened {
	root, err := os.OpenRoot(dir)
	check(t, err)
	s, err := store.Open(root, k, o)
	check(t, err)
	all := opened{s, root}
	if t != nil {
		t.Cleanup(all.Close)
	}
	return all
}

func lock(t testing.TB, s opened) (unlock func()) {
	free, err := s.Lock(context.Background(), time.Minute, "test")
	check(t, err)
	return func() { check(t, free()) }
}

// put puts an image into the store.
func put(t testing.TB, s opened, fileName, content string) {
	st, err := s.Stage(int64(len(content)))
	check(t, err)
	_, err = st.Write([]byte(content))
	check(t, err)
	check(t, st.Commit(fileName, recordFor(content)))
}

func recordFor(content string) store.Record {
	return store.Record{Digest: "sha256:of " + content, Source: "https://example.org/x", Verdict: &store.Summary{Result: "trusted", Signer: "CN=test"}}
}

func keep(t testing.TB, c *store.Change, err error) {
	check(t, err)
	check(t, c.Keep())
}

// one returns the images of the file names, as the store has them.
func named(t testing.TB, s opened, fileNames ...string) []store.Image {
	images, err := s.Images()
	check(t, err)
	var found []store.Image
	for _, n := range fileNames {
		i := slices.IndexFunc(images, func(i store.Image) bool { return i.FileName == n })
		if i < 0 {
			found = append(found, store.Image{FileName: n})
			continue
		}
		found = append(found, images[i])
	}
	return found
}

// agentStore makes a store such as kairos-agent leaves behind, one link of which
// dangles, and then two images of ours.
func agentStore(t testing.TB) string {
	dir := t.TempDir()
	at := filepath.Join(dir, storeAt)
	for _, p := range []string{"active", "passive", "recovery", "common"} {
		check(t, os.MkdirAll(filepath.Join(at, p), 0o755))
	}
	check(t, os.MkdirAll(filepath.Join(dir, runAt), 0o755))
	check(t, os.WriteFile(filepath.Join(at, "loose.raw"), []byte("loose"), 0o644))
	check(t, os.WriteFile(filepath.Join(at, "tool_1.0.sysext.raw"), []byte("tool"), 0o644))
	for link, target := range map[string]string{
		"active/loose.raw":           "/" + storeAt + "/loose.raw",
		"common/loose.raw":           "/" + storeAt + "/loose.raw",
		"active/tool_1.0.sysext.raw": "/" + storeAt + "/tool_1.0.sysext.raw",
		"passive/gone.sysext.raw":    "/" + storeAt + "/gone.sysext.raw",
	} {
		check(t, os.Symlink(target, filepath.Join(at, link)))
	}
	check(t, os.Symlink("/"+storeAt+"/active/tool_1.0.sysext.raw", filepath.Join(dir, runAt, "tool_1.0.sysext.raw")))
	check(t, os.Remove(filepath.Join(at, "recovery")))
	return dir
}

// mixedStore is agentStore with images of ours.
func mixedStore(t testing.TB) string {
	dir := agentStore(t)
	s := open(nil, dir, nil)
	defer s.Close()
	unlock := lock(t, s)
	for name, content := range map[string]string{"k3s_1.sysext.raw": "k3s, first", "k3s_2.sysext.raw": "k3s, second"} {
		check(t, os.WriteFile(filepath.Join(dir, storeAt, name), []byte(content), 0o644))
		check(t, s.Remember(named(t, s, name)[0], recordFor(content)))
	}
	// The first was part of a good boot, the tool has replaced one that was.
	check(t, s.KeepTrials(goodBoot(named(t, s, "k3s_1.sysext.raw")...)))
	check(t, os.WriteFile(filepath.Join(dir, storeAt, ".inlay/good/active/tool_1.0.sysext.raw"), []byte("the tool before"), 0o644))
	unlock()
	for _, link := range []string{storeAt + "/active", storeAt + "/passive"} {
		check(t, os.Symlink("../k3s_1.sysext.raw", filepath.Join(dir, link, "k3s_1.sysext.raw")))
	}
	check(t, os.Symlink("../../"+storeAt+"/k3s_1.sysext.raw", filepath.Join(dir, runAt, "k3s_1.sysext.raw")))
	return dir
}

// goodBoot is the state after good boots of the profiles active and passive with images.
func goodBoot(images ...store.Image) *trial.State {
	state := &trial.State{}
	var used []trial.Image
	for _, i := range images {
		used = append(used, i.Trial())
	}
	for _, profile := range []string{"active", "passive"} {
		state.Good(profile, used, func(string) bool { return true }, time.Unix(1e9, 0).UTC())
	}
	return state
}

// snapshot tells what there is below dir, and what the store remembers and falls
// back to, but nothing else of the store's own folder.
func snapshot(t testing.TB, dir string) map[string]string {
	all := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case name == filepath.Join(storeAt, ".inlay"):
			return fs.SkipDir
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			all[name] = "-> " + target
			return err
		case d.IsDir():
			all[name] = "folder"
		default:
			text, err := os.ReadFile(path)
			all[name] = string(text)
			return err
		}
		return nil
	}))
	s := open(nil, dir, nil)
	defer s.Close()
	images, err := s.Images()
	check(t, err)
	for _, i := range images {
		if i.Record != nil {
			all["record of "+i.FileName] = i.Record.Digest
		}
		for _, profile := range []string{"active", "passive"} {
			good, err := s.Fallback(profile, i)
			check(t, err)
			if good != nil {
				text, err := os.ReadFile(filepath.Join(dir, good.Path))
				check(t, err)
				all[profile+" before "+i.FileName] = string(text)
			}
		}
	}
	return all
}

// fsck fails a test for whatever a store holds that no image needs.
func fsck(t testing.TB, dir string) {
	t.Helper()
	own := filepath.Join(dir, storeAt, ".inlay")
	entries, err := os.ReadDir(own)
	check(t, err)
	for _, e := range entries {
		if !slices.Contains([]string{"lock", "spare", "records", "aside", "staging", "good", "boot.json"}, e.Name()) {
			t.Errorf("the store's own folder holds %q", e.Name())
		}
	}
	for _, folder := range []string{"aside", "staging"} {
		left, err := os.ReadDir(filepath.Join(own, folder))
		check(t, err)
		for _, e := range left {
			t.Errorf("%q is left in %q", e.Name(), folder)
		}
	}
	records, err := os.ReadDir(filepath.Join(own, "records"))
	check(t, err)
	for _, e := range records {
		image, _ := strings.CutSuffix(e.Name(), ".json")
		if _, err := os.Lstat(filepath.Join(dir, storeAt, image)); err != nil {
			t.Errorf("a record %q without an image", e.Name())
		}
	}
	kept, err := filepath.Glob(filepath.Join(own, "good", "*", "*"))
	check(t, err)
	for _, at := range kept {
		if _, err := os.Lstat(filepath.Join(dir, storeAt, filepath.Base(at))); err != nil {
			t.Errorf("%q is kept to fall back to, and nothing would", at)
		}
	}
	s := open(nil, dir, nil)
	defer s.Close()
	images, err := s.Images()
	check(t, err)
	for _, i := range images {
		if strings.HasPrefix(i.FileName, "k3s") && i.Record == nil {
			t.Errorf("the record of %q is lost", i.FileName)
		}
	}
	for name := range snapshot(t, dir) {
		if strings.HasSuffix(name, ".new") {
			t.Errorf("%q is left", name)
		}
	}
}

func equal(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
