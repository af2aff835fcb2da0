package store_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/hint"
	"inlay/internal/store"
)

func TestJournalIsStrict(t *testing.T) {
	t.Parallel()
	const good = `{"version":1,"folders":["active"],"runFolders":["run"],"steps":[{"place":"images","name":"a.raw","was":{"inode":1}}]}`
	if n, err := store.JournalSteps([]byte(good + "\n\n\n")); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	for name, change := range map[string][2]string{
		"version":           {`"version":1`, `"version":2`},
		"place":             {"images", "../images"},
		"name up":           {"a.raw", ".."},
		"name deep":         {"a.raw", "a/b"},
		"name empty":        {"a.raw", ""},
		"name ours":         {"a.raw", ".inlay"},
		"name of a profile": {"a.raw", "active"},
		"folder":            {`["active"]`, `["records"]`},
		"run folder":        {`["run"]`, `["../run"]`},
		"run folder, root":  {`["run"]`, `["."]`},
		"nothing":           {`,"was":{"inode":1}`, ``},
		"file in run":       {`"images"`, `"run"`},
		"unknown":           {`"version"`, `"x":1,"version"`},
		"rest":              {`}]}`, `}]}{}`},
		"cut":               {`}]}`, `}]`},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := store.JournalSteps([]byte(text)); err == nil {
			t.Errorf("%s is taken: %s", name, text)
		}
	}
}

// TestBadJournal must not cost anybody an image that was set aside.
func TestBadJournal(t *testing.T) {
	t.Parallel()
	dir := mixedStore(t)
	own := filepath.Join(dir, storeAt, ".inlay")
	check(t, os.WriteFile(filepath.Join(own, "journal"), []byte("{"), 0o644))
	check(t, os.WriteFile(filepath.Join(own, "aside/0"), []byte("an image"), 0o644))
	s := open(t, dir, nil)
	for range 2 {
		_, err := s.Lock(t.Context(), 0, "")
		if err == nil || !strings.Contains(strings.Join(hint.Of(err), ""), "move back by hand") {
			t.Fatalf("%v %q", err, hint.Of(err))
		}
	}
	if _, err := os.Stat(filepath.Join(own, "aside/0")); err != nil {
		t.Error(err)
	}
	check(t, os.Remove(filepath.Join(own, "journal")))
	settle(t, dir, nil)
	fsck(t, dir)
}

func FuzzFiles(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"version":1,"steps":[]}`,
		`{"version":1,"folders":["active"],"runFolders":["run"],"steps":[{"place":"images","name":"a.raw","was":{"inode":1},"sealed":true}]}`,
		`{"digest":"sha256:00","fetched":"2026-01-02T03:04:05.678Z","verdict":{"result":"trusted"},"identity":{"inode":1,"size":2}}`,
		`{"identity":{"modTime":"2026-13-01T00:00:00Z"}}`, `null`, `[]`, "{}\n{}", strings.Repeat("[", 1<<12),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		record, recordErr, journalErr := store.Strict(text)
		if len(text) > 4<<20 && (recordErr == nil || journalErr == nil) {
			t.Error("too long, and taken")
		}
		if recordErr != nil {
			return
		}
		again, err := json.Marshal(record)
		check(t, err)
		second, err, _ := store.Strict(again)
		check(t, err)
		equal(t, "read, written and read", record, second)
	})
}
