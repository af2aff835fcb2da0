package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inlay/internal/extension"
	"inlay/internal/store"
)

// TestTakesOver reads a store of kairos-agent's without touching it.
func TestTakesOver(t *testing.T) {
	t.Parallel()
	dir := agentStore(t)
	before := snapshot(t, dir)
	s := open(t, dir, nil)
	images, err := s.Images()
	check(t, err)
	type brief struct {
		FileName, Name, Version, Path, Profiles string
		Size                                    int64
		Linked, Missing                         bool
	}
	var got []brief
	for _, i := range images {
		got = append(got, brief{i.FileName, i.Name, i.Version, i.Path, fmt.Sprint(i.Profiles), i.Size, i.Linked, i.Missing})
	}
	equal(t, "images", []brief{
		{"gone.sysext.raw", "gone", "", storeAt + "/gone.sysext.raw", "[passive]", 0, false, true},
		{"loose.raw", "loose", "", storeAt + "/loose.raw", "[active common]", 5, false, false},
		{"tool_1.0.sysext.raw", "tool_1.0", "1.0", storeAt + "/tool_1.0.sysext.raw", "[active]", 4, true, false},
	}, got)
	var told []string
	for _, p := range s.Problems() {
		told = append(told, p.Path+": "+p.Text)
	}
	equal(t, "problems", []string{
		storeAt + "/loose.raw: its name doesn't say which kind of extension it is",
		storeAt + "/passive/gone.sysext.raw: it leads to an image that is not there",
	}, told)
	equal(t, "reading", before, snapshot(t, dir))
	if _, err := os.Stat(filepath.Join(dir, storeAt, ".inlay")); err == nil {
		t.Error("reading creates a folder")
	}
}

func TestTouchedLinksAreRelative(t *testing.T) {
	t.Parallel()
	dir := agentStore(t)
	s := open(t, dir, nil)
	defer lock(t, s)()
	images := named(t, s, "loose.raw", "tool_1.0.sysext.raw")
	c, err := s.Enable(images, []store.Profile{store.Active, store.Recovery})
	check(t, err)
	check(t, c.LinkRun(images))
	check(t, c.Keep())
	got := snapshot(t, dir)
	for name, want := range map[string]string{
		storeAt + "/active/loose.raw":           "-> ../loose.raw",
		storeAt + "/active/tool_1.0.sysext.raw": "-> ../tool_1.0.sysext.raw",
		storeAt + "/recovery/loose.raw":         "-> ../loose.raw",
		storeAt + "/common/loose.raw":           "-> /" + storeAt + "/loose.raw",
		runAt + "/loose.raw":                    "-> ../../" + storeAt + "/loose.raw",
		runAt + "/tool_1.0.sysext.raw":          "-> ../../" + storeAt + "/tool_1.0.sysext.raw",
	} {
		if got[name] != want {
			t.Errorf("%s %s, want %s", name, got[name], want)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, runAt, "loose.raw")); err != nil || string(text) != "loose" {
		t.Errorf("the kernel reads %q through the link: %v", text, err)
	}
}

func TestNoStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	images, err := s.Images()
	if err != nil || len(images) > 0 || len(s.Problems()) > 0 {
		t.Errorf("%v %v %v", images, err, s.Problems())
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("reading creates %v: %v", entries, err)
	}
	if _, err := s.Enable(nil, store.Profiles()); err == nil {
		t.Error("a change without the lock")
	}
}

// TestLinkedStore has the store, and the run folder, behind links, such as move
// var/lib/kairos to another partition.
func TestLinkedStore(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/usr/local/kairos", "../../usr/local/kairos", "../../../../../../../usr/local/kairos"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, folder := range []string{"var/lib", "usr/local", "volatile/run"} {
				check(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
			}
			check(t, os.Symlink(target, filepath.Join(dir, "var/lib/kairos")))
			check(t, os.Symlink("/volatile/run", filepath.Join(dir, "run")))
			s := open(t, dir, nil)
			unlock := lock(t, s)
			put(t, s, "a.sysext.raw", "a")
			c, err := s.Enable(named(t, s, "a.sysext.raw"), []store.Profile{store.Active})
			check(t, err)
			check(t, c.LinkRun(named(t, s, "a.sysext.raw")))
			check(t, c.Keep())
			unlock()
			image := named(t, open(t, dir, nil), "a.sysext.raw")[0]
			if !image.Linked || !slices.Equal(image.Profiles, []store.Profile{store.Active}) || image.Path != "usr/local/kairos/extensions/a.sysext.raw" {
				t.Errorf("%+v", image)
			}
			if link, err := os.Readlink(filepath.Join(dir, "volatile/run/extensions/a.sysext.raw")); err != nil || link != "../../../"+storeAt+"/a.sysext.raw" {
				t.Errorf("the run folder's link is %q: %v", link, err)
			}
			f, err := s.OpenImage(image)
			check(t, err)
			defer f.Close()
			if text, err := io.ReadAll(f); err != nil || string(text) != "a" {
				t.Errorf("the image holds %q: %v", text, err)
			}
		})
	}
}

// TestStaysInside has links lead out of the root.
func TestStaysInside(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	check(t, os.WriteFile(filepath.Join(outside, "secret.raw"), []byte("secret"), 0o644))
	for name, links := range map[string]map[string]string{
		"the store":       {"var/lib/kairos": outside},
		"up and out":      {"var/lib/kairos": strings.Repeat("../", 30) + outside},
		"a profile":       {storeAt + "/active": outside},
		"our own folder":  {storeAt + "/.inlay": outside},
		"the run folder":  {runAt: outside},
		"the lock":        {storeAt + "/.inlay/lock": filepath.Join(outside, "lock")},
		"a loop":          {"var/lib/kairos": "/var/lib/kairos"},
		"the next record": {storeAt + "/.inlay/aside/1.new": filepath.Join(outside, "secret.raw")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for at, target := range links {
				check(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(at)), 0o755))
				check(t, os.Symlink(target, filepath.Join(dir, at)))
			}
			try := func() error {
				root, err := os.OpenRoot(dir)
				check(t, err)
				defer root.Close()
				s, err := store.Open(root, extension.Sysext(), store.Options{})
				if err != nil {
					return err
				}
				defer s.Close()
				if images, err := s.Images(); err == nil && len(images) > 0 {
					t.Errorf("images out of nowhere: %+v", images)
				}
				unlock, err := s.Lock(t.Context(), 0, "test")
				if err != nil {
					return err
				}
				defer func() { check(t, unlock()) }()
				o := opened{s, root}
				if err := stage(o, "a.sysext.raw", "a"); err != nil {
					return err
				}
				c, err := s.Enable(named(t, o, "a.sysext.raw"), []store.Profile{store.Active})
				if err != nil {
					return err
				}
				if err := c.LinkRun(named(t, o, "a.sysext.raw")); err != nil {
					return err
				}
				return c.Keep()
			}
			t.Logf("the error: %v", try())
			entries, err := os.ReadDir(outside)
			if text, read := os.ReadFile(filepath.Join(outside, "secret.raw")); err != nil || read != nil || len(entries) != 1 || string(text) != "secret" {
				t.Errorf("outside there are %v now (%v, %v): %q", entries, err, read, text)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	file := func(name string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, storeAt, name), []byte("x"), 0o644) }
	}
	link := func(target, name string) func(dir string) error {
		return func(dir string) error { return os.Symlink(target, filepath.Join(dir, storeAt, name)) }
	}
	for name, c := range map[string]struct {
		make func(dir string) error
		want string
	}{
		"another kind":              {file("a.confext.raw"), "a.confext.raw: by its name it is a confext"},
		"foreign":                   {file("README"), "README: it is no image"},
		"a name systemd won't take": {file(".#a.sysext.raw"), ".#a.sysext.raw: systemd passes over"},
		"a name that cannot merge":  {file("a,b.sysext.raw"), "a,b.sysext.raw: the name \"a,b\" holds a ','"},
		"twice the same":            {file("tool_1.0.raw"), "systemd calls it \"tool_1.0\", as it does"},
		"a link for an image":       {link("/etc/passwd", "a.sysext.raw"), "a.sysext.raw: it is a link"},
		"a link out":                {link("/srv/a.raw", "active/a.raw"), "active/a.raw: it leads to \"/srv/a.raw\", out of the store"},
		"a link up":                 {link("../../../../../../../srv/a.raw", "active/a.raw"), "out of the store"},
		"a link to nothing":         {link("../a.raw", "active/a.raw"), "active/a.raw: it leads to an image that is not there"},
		"a link in a circle":        {link("a.raw", "active/a.raw"), "out of the store"},
		"a link to a folder":        {link("..", "active/a.raw"), "out of the store"},
		"a link to the lock":        {link("../.inlay", "active/a.raw"), "active/a.raw"},
		"a link of another name":    {link("../loose.raw", "active/tight.raw"), "tight.raw: it leads to an image of another name"},
		"a file in a profile":       {file("active/a.raw"), "active/a.raw: a profile holds links"},
		"a file for a profile":      {file("recovery"), "recovery: it takes the place of a profile's folder"},
		"a link in the run folder": {func(dir string) error {
			return os.Symlink("/"+storeAt+"/active/was.raw", filepath.Join(dir, runAt, "was.raw"))
		}, "was.raw: it leads to an image that is not in the store any more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := agentStore(t)
			s := open(t, dir, nil)
			before := s.Problems()
			check(t, c.make(dir))
			if _, err := s.Images(); err != nil {
				t.Errorf("a problem is an error: %v", err)
			}
			after := s.Problems()
			if len(after) != len(before)+1 && name != "twice the same" {
				t.Errorf("%d problems, want %d", len(after), len(before)+1)
			}
			if !slices.ContainsFunc(after, func(p store.Problem) bool { return strings.Contains(p.Path+": "+p.Text, c.want) }) {
				t.Errorf("no problem says %q: %+v", c.want, after)
			}
		})
	}
}

// TestRecords has records that count, and records that don't.
func TestRecords(t *testing.T) {
	t.Parallel()
	name := "k3s_1.sysext.raw"
	for _, c := range []struct {
		what string
		do   func(at string) error
		want bool
	}{
		{"nothing", func(string) error { return nil }, true},
		{"reading", func(at string) error { _, err := os.ReadFile(at); return err }, true},
		{"writing", func(at string) error { return os.WriteFile(at, []byte("k3s, fiRst"), 0o644) }, false},
		{"writing behind its back", func(at string) error {
			info, err := os.Stat(at)
			check(t, err)
			check(t, os.WriteFile(at, []byte("k3s, fiRst"), 0o644))
			return os.Chtimes(at, time.Time{}, info.ModTime())
		}, false},
		{"exchanging", func(at string) error {
			check(t, os.WriteFile(at+".x", []byte("k3s, first"), 0o644))
			return os.Rename(at+".x", at)
		}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			dir := mixedStore(t)
			s := open(t, dir, nil)
			old := named(t, s, name)[0]
			equal(t, "record", "sha256:of k3s, first", old.Record.Digest)
			check(t, c.do(filepath.Join(dir, storeAt, name)))
			image := named(t, s, name)[0]
			if got := image.Record != nil; got != c.want {
				t.Errorf("the record counts: %v, want %v", got, c.want)
			}
			defer lock(t, s)()
			if err := s.Remember(old, recordFor("again")); (err == nil) != c.want {
				t.Errorf("remembering what was found in another file: %v", err)
			}
			check(t, s.Remember(image, recordFor("anew")))
			if r := named(t, s, name)[0].Record; r == nil || r.Digest != "sha256:of anew" {
				t.Errorf("the new record is %+v", r)
			}
		})
	}
}

func TestOpenImage(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	s := open(t, dir, nil)
	images := named(t, s, "k3s_1.sysext.raw", "gone.sysext.raw")
	if _, err := s.OpenImage(images[1]); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a missing image: %v", err)
	}
	at := filepath.Join(dir, images[0].Path)
	check(t, os.Remove(at))
	check(t, os.Symlink("k3s_2.sysext.raw", at))
	if f, err := s.OpenImage(images[0]); err == nil {
		f.Close()
		t.Error("a link in the place of an image is opened")
	}
	check(t, os.Remove(at))
	check(t, os.WriteFile(at, []byte("k3s, fake!"), 0o644))
	check(t, os.Chtimes(at, time.Time{}, images[0].ModTime))
	if f, err := s.OpenImage(images[0]); err == nil {
		f.Close()
		t.Error("an image of the same size and time in the place of another is opened")
	}
}

func BenchmarkImages(b *testing.B) {
	dir := b.TempDir()
	s := open(b, dir, nil)
	unlock := lock(b, s)
	var all []store.Image
	for i := range 500 {
		name := fmt.Sprintf("extension%d_1.%d.sysext.raw", i, i%7)
		put(b, s, name, name)
		all = append(all, store.Image{FileName: name})
	}
	c, err := s.Enable(all, []store.Profile{store.Active, store.Passive})
	check(b, err)
	check(b, c.LinkRun(all))
	check(b, c.Keep())
	unlock()
	for b.Loop() {
		images, err := s.Images()
		if err != nil || len(images) != 500 || images[0].Record == nil || len(images[499].Profiles) != 2 || !images[7].Linked {
			b.Fatalf("%d images: %v", len(images), err)
		}
	}
}
