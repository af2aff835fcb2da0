package discover_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/discover"
)

// TestUnlikeSystemd shows, one by one, where systemd 257 and we differ, and that
// it does. All that is not here is in TestListAsSystemd, and alike.
func TestUnlikeSystemd(t *testing.T) {
	t.Parallel()
	good := "etc/extensions/good.raw"
	tests := map[string]struct {
		witnessScene
		fails  string   // systemd lists nothing, with these words
		theirs []string // paths that systemd lists
		ours   []string
	}{
		"a link in a circle": {
			plain(good, "etc/extensions/foo.raw -> foo.raw"), "Too many levels of symbolic links", nil, []string{"/" + good},
		},
		"a link through a file": {
			plain(good, "etc/extensions/foo.raw -> good.raw/x"), "Not a directory", nil, []string{"/" + good},
		},
		"a search folder that is a file": {
			plain(good, "run/extensions"), "Not a directory", nil, []string{"/" + good},
		},
		"a search folder in a circle": {
			plain(good, "run/extensions -> extensions"), "Too many levels of symbolic links", nil, []string{"/" + good},
		},
		"a link above the root folder": {
			plain(good, "etc/extensions/foo.raw -> /../data/x", "data/x"), "", []string{"/etc/extensions/foo.raw", "/" + good}, []string{"/" + good},
		},
		"unfinished downloads, which 262 passes over too": {
			plain(good, "etc/extensions/.sysupdate.partial.foo.raw", "etc/extensions/.sysupdate.pending.bar/"), "",
			[]string{"/etc/extensions/.sysupdate.partial.foo.raw", "/etc/extensions/.sysupdate.pending.bar", "/" + good},
			[]string{"/" + good},
		},
	}
	folder := t.TempDir()
	scenes, names := map[string]witnessScene{}, map[string]string{}
	for name, test := range tests {
		names[name] = strings.NewReplacer(" ", "_", ",", "").Replace(name)
		scenes[names[name]] = test.witnessScene
		test.write(t, filepath.Join(folder, names[name]))
	}
	answers := systemd257().ask(t, folder, scenes)
	for name, test := range tests {
		answer := answers[names[name]]
		if (answer.failed != "") != (test.fails != "") || !strings.Contains(answer.failed, test.fails) {
			t.Errorf("%s: systemd fails with %q", name, answer.failed)
		}
		if diff := cmp.Diff(test.theirs, paths(answer.list)); diff != "" {
			t.Errorf("%s: systemd (-want +got):\n%s", name, diff)
		}
		found := findIn(t, filepath.Join(folder, names[name]), test.options(257))
		if diff := cmp.Diff(test.ours, paths(found.List(test.options(257)))); diff != "" {
			t.Errorf("%s: inlay (-want +got):\n%s", name, diff)
		}
		if len(found.Skipped) == 0 {
			t.Errorf("%s: nothing is said of what is passed over", name)
		}
	}
}

func paths(list []discover.Listing) []string {
	var paths []string
	for _, l := range list {
		paths = append(paths, l.Path)
	}
	return paths
}
