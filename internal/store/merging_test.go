package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/store"
)

// TestStale: a change that was undone after the running system was merged by it
// is remembered until that has been merged anew, in that boot.
func TestStale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		live, asked bool
		end         func(*store.Change) error // nil: the power goes
		boot        string
		want        bool
	}{
		"killed, live":                 {live: true, asked: true, boot: "one", want: true},
		"killed before it was asked":   {live: true, boot: "one", want: true}, // nobody can tell
		"killed, not live":             {boot: "one"},
		"killed, live, another boot":   {live: true, asked: true, boot: "two"},
		"undone, live":                 {live: true, asked: true, end: (*store.Change).Undo, boot: "one", want: true},
		"undone before it was asked":   {live: true, end: (*store.Change).Undo, boot: "one"},
		"kept, live":                   {live: true, asked: true, end: (*store.Change).Keep, boot: "one"},
		"undone, live, other boot now": {live: true, asked: true, end: (*store.Change).Undo, boot: "two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := mixedStore(t)
			id := filepath.Join(dir, "proc/sys/kernel/random/boot_id")
			check(t, os.MkdirAll(filepath.Dir(id), 0o755))
			check(t, os.WriteFile(id, []byte("one\n"), 0o644))
			s := open(t, dir, nil)
			unlock := lock(t, s)
			change, err := s.Begin()
			check(t, err)
			if c.live {
				check(t, change.Live())
			}
			check(t, change.Disable(named(t, s, "k3s_1.sysext.raw"), store.Profiles()))
			if err := change.Live(); err == nil {
				t.Error("a change that has begun became one of the running system")
			}
			if c.asked {
				change.Merging()
			}
			if c.end == nil {
				dir = copyStore(t, dir)
				id = filepath.Join(dir, "proc/sys/kernel/random/boot_id")
			} else {
				check(t, c.end(change))
				unlock()
			}
			check(t, os.WriteFile(id, []byte(c.boot), 0o644))

			s = open(t, dir, nil)
			defer lock(t, s)()
			told := func() bool {
				for _, p := range s.Problems() {
					if strings.Contains(p.Text, "merged") {
						return true
					}
				}
				return false
			}
			if s.Stale() != c.want || told() != c.want {
				t.Errorf("stale: %v, told: %v, want %v", s.Stale(), told(), c.want)
			}
			check(t, s.Refreshed())
			if s.Stale() || told() {
				t.Error("still stale after it was refreshed")
			}
			if _, err := os.Lstat(filepath.Join(dir, storeAt, ".inlay/stale")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("rubbish: %v", err)
			}
		})
	}
}
