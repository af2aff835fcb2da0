package store_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

// TestOddFiles has something else where the store keeps its own files: nobody
// waits for it, follows it, or clears it away, and who is stopped by it is told.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	fifo := func(at string) error { return unix.Mkfifo(at, 0o600) }
	folder := func(at string) error { return os.MkdirAll(filepath.Join(at, "theirs"), 0o755) }
	link := func(target string) func(string) error { return func(at string) error { return os.Symlink(target, at) } }
	for name, tt := range map[string]struct {
		at   string
		make func(at string) error
		err  string // of Lock; "" is none
	}{
		"lock, a pipe":           {".inlay/lock", fifo, "not a regular file"},
		"lock, a folder":         {".inlay/lock", folder, "not a regular file"},
		"lock, a link":           {".inlay/lock", link("../loose.raw"), "not a regular file"},
		"lock, a dangling link":  {".inlay/lock", link("nowhere"), "not a regular file"},
		"journal, a pipe":        {".inlay/journal", fifo, "not a regular file"},
		"journal, a folder":      {".inlay/journal", folder, "not a regular file"},
		"record, a pipe":         {".inlay/records/loose.raw.json", fifo, ""},
		"record, a folder":       {".inlay/records/loose.raw.json", folder, ""},
		"no record, a folder":    {".inlay/records/theirs", folder, "not empty"},
		"set aside, a folder":    {".inlay/aside/0", folder, "not empty"},
		"on its way, a pipe":     {".inlay/staging/x", fifo, ""},
		"on its way, a folder":   {".inlay/staging/x", folder, "not empty"},
		"on its way, a link":     {".inlay/staging/x", link("../../loose.raw"), ""},
		"spare, a folder":        {".inlay/spare", folder, "file exists"},
		"spare on its way, link": {".inlay/aside/spare.new", link("../../loose.raw"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := agentStore(t)
			at := filepath.Join(dir, storeAt, tt.at)
			check(t, os.MkdirAll(filepath.Dir(at), 0o755))
			check(t, tt.make(at))
			old := snapshot(t, dir)
			done := make(chan error, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			go func() {
				s := open(nil, dir, nil)
				defer s.Close()
				s.Settle()
				unlock, err := s.Lock(ctx, time.Second, "")
				if err == nil {
					err = unlock()
				}
				done <- err
			}()
			select {
			case err := <-done:
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || len(hint.Of(err)) == 0) {
					t.Errorf("got %v, with the advice %q; want %q and some", err, hint.Of(err), tt.err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("it waits for ever")
			}
			equal(t, "afterwards", old, snapshot(t, dir))
		})
	}
}
