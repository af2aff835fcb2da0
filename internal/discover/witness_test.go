package discover_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/test/debian"
)

// listScript has systemd list the extensions of each root folder below /hosts
// that its arguments name, two of them each: the name, and the program. The
// programs come from the root that the script runs in; the folders to look in
// are the very ones, so that the order in which they list their names is too.
const listScript = `
while [ $# -gt 0 ]; do
  top=/tmp/$1
  mkdir "$top"
  mount -t overlay -o "lowerdir=/hosts/$1:/" overlay "$top"
  mount --rbind /proc "$top/proc"
  mount --rbind /dev "$top/dev"
  for f in etc/extensions run/extensions var/lib/extensions data \
    run/confexts var/lib/confexts usr/local/lib/confexts usr/lib/confexts .extra/sysext .extra/confext; do
    if [ -d "/hosts/$1/$f" ] && [ ! -L "/hosts/$1/$f" ]; then mount --rbind "/hosts/$1/$f" "$top/$f"; fi
  done
  echo "@host $1"
  chroot "$top" "$2" list --json=short 2>&1 || echo @failed
  umount -l "$top"
  shift 2
done
`

// asked is what systemd lists of one root folder, and that it failed if it did.
type asked struct {
	list   []discover.Listing
	failed string
}

// witness is a systemd that can be asked.
type witness struct {
	version int
	// run runs a command in its root folder, with a folder bound to /hosts.
	run func(t *testing.T, folder string, argv ...string) string
}

func systemd257() witness {
	return witness{257, func(t *testing.T, folder string, argv ...string) string {
		t.Helper()
		return debian.Tools(t).Run(t, map[string]string{folder: "/hosts"}, argv...)
	}}
}

// ask has systemd list the extensions of scenes below folder.
func (w witness) ask(t *testing.T, folder string, scenes map[string]witnessScene) map[string]asked {
	t.Helper()
	argv := []string{"sh", "-euc", listScript, "list.sh"}
	for _, name := range slices.Sorted(maps.Keys(scenes)) {
		argv = append(argv, name, "systemd-"+scenes[name].kind().Name)
	}
	output := w.run(t, folder, argv...)
	answers := map[string]asked{}
	for part := range strings.SplitSeq(output, "@host ") {
		name, text, ok := strings.Cut(part, "\n")
		if !ok {
			continue
		}
		var a asked
		if strings.Contains(text, "@failed") {
			a.failed = text
		} else if err := json.Unmarshal([]byte(text), &a.list); err != nil {
			t.Fatalf("%s: %v in %q", name, err, text)
		}
		answers[name] = a
	}
	if len(answers) != len(scenes) {
		t.Fatalf("%d answers for %d scenes", len(answers), len(scenes))
	}
	return answers
}

func (s witnessScene) kind() extension.Kind {
	if s.confext {
		return extension.Confext()
	}
	return extension.Sysext()
}

func (s witnessScene) options(systemd int) discover.Options {
	return discover.Options{Kind: s.kind(), Systemd: systemd, Initrd: s.initrd}
}

// TestListAsSystemd puts folders with all sorts of things in them before
// systemd-sysext and systemd-confext 257, which must list what we find.
func TestListAsSystemd(t *testing.T) {
	t.Parallel()
	listAs(t, systemd257())
}

func listAs(t *testing.T, w witness) {
	t.Helper()
	scenes := witnessScenes()
	if len(scenes) < 150 {
		t.Errorf("only %d scenes", len(scenes))
	}
	folder := t.TempDir()
	for name, s := range scenes {
		s.write(t, filepath.Join(folder, name))
	}
	theirs := w.ask(t, folder, scenes)
	rows, apart := 0, 0
	for name, s := range scenes {
		answer := theirs[name]
		if answer.failed != "" {
			t.Errorf("%s: systemd fails: %s", name, answer.failed)
			continue
		}
		found := findIn(t, filepath.Join(folder, name), s.options(w.version))
		ours := found.List(s.options(w.version))
		if s.ties && untie(t, found, answer.list, ours) {
			apart++
		}
		if diff := cmp.Diff(answer.list, ours); diff != "" {
			t.Errorf("%s (-systemd +inlay):\n%s%s", name, diff, strings.Join(account(found), "\n"))
		}
		rows += len(ours)
		complete(t, name, filepath.Join(folder, name), s.options(w.version), found)
	}
	t.Logf("%d scenes, %d extensions, %d scenes in which systemd takes what is listed first", len(scenes), rows, apart)
	if rows < 150 {
		t.Errorf("only %d extensions", rows)
	}
}

// untie puts our choice in place of systemd's where ours has lost against it in
// its own folder, and says whether it did.
func untie(t *testing.T, found *discover.Found, theirs, ours []discover.Listing) bool {
	t.Helper()
	apart := false
	for i, l := range theirs {
		for _, c := range found.Candidates {
			if c.Name != l.Name || "/"+c.Place == l.Path {
				continue
			}
			lost := slices.ContainsFunc(c.Shadowed, func(s discover.Shadow) bool { return "/"+s.Path == l.Path })
			if !lost || !strings.HasPrefix(l.Path, "/"+c.Folder+"/") || i >= len(ours) {
				t.Errorf("systemd takes %q", l.Path)
				continue
			}
			theirs[i], apart = ours[i], true
		}
	}
	return apart
}

// complete sees that everything in a search folder is accounted for once.
func complete(t *testing.T, name, root string, o discover.Options, found *discover.Found) {
	t.Helper()
	counts := map[string]int{}
	note := func(place string) {
		for _, folder := range discover.Folders(o) {
			at, err := filepath.EvalSymlinks(filepath.Join(root, folder))
			if err != nil {
				continue
			}
			at, _ = filepath.Rel(root, at)
			if rest, below := strings.CutPrefix(place, at+"/"); below {
				entry, _, _ := strings.Cut(rest, "/")
				counts[folder+"/"+entry]++
			}
		}
	}
	for _, c := range found.Candidates {
		note(c.Place)
		for _, shadow := range c.Shadowed {
			note(shadow.Path)
			if shadow.Reason == "" {
				t.Errorf("%s: %s loses without a reason", name, shadow.Path)
			}
		}
	}
	for _, skipped := range found.Skipped {
		note(skipped.Path)
		if skipped.Reason == "" {
			t.Errorf("%s: %s is passed over without a reason", name, skipped.Path)
		}
	}
	for _, folder := range discover.Folders(o) {
		entries, _ := os.ReadDir(filepath.Join(root, folder))
		for _, e := range entries {
			if counts[folder+"/"+e.Name()] == 0 {
				t.Errorf("%s: nothing is said of %q in %s", name, e.Name(), folder)
			}
		}
	}
}
