package store_test

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// TestOrder holds what a power cut would show: the journal is on the disk before
// anything changes that can be seen, and all that changed is before the journal
// goes.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		if op.same {
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			var calls []string
			check(t, perform(mixedStore(t), op, func(call, name string) error {
				calls = append(calls, call+" "+name)
				return nil
			}))
			begun := slices.Index(calls, "rename .inlay/journal")
			ended := len(calls) - 1 - slices.Index(reversed(calls), "remove .inlay/journal")
			if begun < 2 || calls[begun-1] != "sync " || calls[begun+1] != "sync .inlay" || ended >= len(calls) || calls[ended+1] != "sync .inlay" {
				t.Fatalf("the journal appears or goes without a sync before and after:\n%s", strings.Join(calls, "\n"))
			}
			if put := slices.Index(calls, "name 0.new"); put >= 0 {
				written := slices.Index(calls, "write ")
				for i := written; i < begun; i++ {
					if calls[i] == "truncate " {
						written = i // to the size that it came out with
					}
				}
				if !slices.Contains(calls[written:begun], "sync ") || calls[written+1] != "sync " {
					t.Errorf("an image gets its name before its content is written through:\n%s", strings.Join(calls, "\n"))
				}
			}
			for i, call := range calls {
				what, name, _ := strings.Cut(call, " ")
				if what == "sync" || strings.HasPrefix(name, ".inlay") && !strings.HasPrefix(name, ".inlay/records") || name == "" {
					continue
				}
				if i < begun+2 || i > ended {
					t.Errorf("call %d, %q, outside of the journal's time (%d to %d)", i, call, begun, ended)
				}
				folder := "."
				if parent, _, deep := strings.Cut(name, "/"); deep {
					folder = parent
				}
				if strings.HasPrefix(name, ".inlay/records") || what == "rename" && strings.HasPrefix(name, ".inlay/aside") {
					folder = name[:strings.LastIndex(name, "/")]
				}
				run := folder == "." && !strings.HasPrefix(call, "rename") // of the run folder, which is not synced
				if !run && !slices.Contains(calls[i:ended], "sync "+folder) {
					t.Errorf("call %d, %q: the folder %q is not written through before the journal goes", i, call, folder)
				}
			}
			if !slices.Contains(calls[begun:ended], "sync .inlay/aside") {
				t.Error("what is set aside is not written through")
			}
		})
	}
}

func reversed(all []string) []string {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// TestNewFoldersLast writes the name of each folder through that it makes.
func TestNewFoldersLast(t *testing.T) {
	t.Parallel()
	var calls []string
	s := open(t, t.TempDir(), func(call, name string) error {
		calls = append(calls, call+" "+name)
		return nil
	})
	lock(t, s)()
	made := 0
	for i, call := range calls {
		if name, ok := strings.CutPrefix(call, "mkdir "); ok {
			made++
			if want := "sync " + path.Dir(name); calls[i+1] != want {
				t.Errorf("%q is followed by %q, not by %q", call, calls[i+1], want)
			}
		}
	}
	if made != 13 {
		t.Errorf("%d folders were made: %q", made, calls)
	}
}
