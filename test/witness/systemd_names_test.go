package witness_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/test/debian"
	"inlay/test/need"
)

// sameWords asks systemd's tool and the program under its name the same questions, in
// every state that a system can be in, and prints where the answers differ. $older is
// what turns an answer of 262 into one of an older systemd.
const sameWords = `
export TZ=Asia/Tokyo
ask() {
  "$@" >/tmp/theirs 2>/tmp/their-words || echo "exit $?" >>/tmp/theirs
  tool=$1; shift
  "/w/names/$tool" "$@" >/tmp/said 2>/tmp/our-words || echo "exit $?" >>/tmp/said
  sed "$older" /tmp/said >/tmp/ours
  for what in s words; do
    case $what in s) theirs=/tmp/theirs ours=/tmp/ours;; words) theirs=/tmp/their-words ours=/tmp/our-words;; esac
    cmp -s $theirs $ours || { echo "$state: $tool $* says"; cat $theirs; echo "and we"; cat $ours; }
  done
  asked=$((asked + 1))
}
questions() {
  state=$1
  for tool in systemd-sysext systemd-confext; do
    for format in --json=off --json=short --json=pretty --no-legend; do
      ask $tool $format; ask $tool status $format; ask $tool list $format
    done
    ask $tool --no-pager --root=/alt; ask $tool list --root=/alt --json=short
  done
  SYSTEMD_SYSEXT_HIERARCHIES=/usr/share:/usr/bin:/nowhere
  export SYSTEMD_SYSEXT_HIERARCHIES
  ask systemd-sysext --json=short
  unset SYSTEMD_SYSEXT_HIERARCHIES
}
merges() { # TOOL'S FOLDER, STATE
  for tool in systemd-sysext systemd-confext; do
    for verb in merge unmerge unmerge refresh refresh unmerge "refresh --always-refresh=$always"; do
      echo "$tool $verb"; SYSTEMD_LOG_LEVEL=info "$1$tool" $verb 2>&1 | sed '/^warning: /d; /^Unmerged/{N;/Merged/s/^[^\n]*\n//;}'
    done
  done
}
asked=0
mkdir -p /alt/usr /alt/opt /opt
questions 'nothing there'
cp -a /w/run/. /run
touch /run/extensions/image.raw /run/extensions/README
mkdir /run/extensions/mask
questions 'nothing merged'
rm /run/extensions/image.raw
`

// namedExtensions puts extensions in folders, and the program under systemd's names,
// into a folder of its own.
func namedExtensions(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, c := range []struct {
		name string
		kind extension.Kind
		text string
	}{
		{"one", extension.Sysext(), "ID=_any\n"},
		{"two_1.0", extension.Sysext(), "ID=_any\n"},
		{"settings", extension.Confext(), "ID=_any\n"},
		{"alien", extension.Sysext(), "ID=alien\nVERSION_ID=1\n"},
		{"foreign", extension.Confext(), "ID=alien\n"},
	} {
		at := filepath.Join(folder, c.kind.RunFolder, c.name)
		write(t, filepath.Join(at, c.kind.ReleaseFile(c.name)), c.text, 0o644)
		write(t, filepath.Join(at, c.kind.Hierarchies[0], "share/witness", c.name), c.name+"\n", 0o644)
	}
	write(t, filepath.Join(folder, "run/extensions/one/opt/witness"), "one\n", 0o644)
	names := filepath.Join(folder, "names")
	if err := os.Mkdir(names, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, nil, "cp", inlay, filepath.Join(names, "systemd-sysext"))
	if err := os.Symlink("systemd-sysext", filepath.Join(names, "systemd-confext")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestSystemdNames holds the program, called as systemd-sysext and systemd-confext, to
// what those print: tables and JSON, byte by byte, of what either has merged.
func TestSystemdNames(t *testing.T) {
	t.Parallel()
	need.Root(t)
	for _, c := range []struct {
		name   string
		root   *debian.Root
		older  string // sed: from 262 to this systemd
		always string
	}{
		// Up to 261 what isn't merged has a word, and is no list.
		{"257", debian.Tools(t), `s/"extensions":\[\]/"extensions":"none"/g; s/"extensions" : \[\]/"extensions" : "none"/; s/^\(\/[a-z/]*  *\)-   /\1none/; s/^\(\/[a-z]* \)- /\1none /`, ""},
		{"262", debian.Newest(t), "", "yes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			binds := map[string]string{namedExtensions(t): "/w"}
			script := "set -eu\nolder='" + c.older + "'\nalways=" + c.always + "\n" + sameWords + `
				systemd-sysext merge 2>/dev/null; systemd-confext merge 2>/dev/null
				questions 'merged by systemd'
				/w/names/systemd-sysext unmerge 2>/dev/null; /w/names/systemd-confext unmerge 2>/dev/null
				questions 'unmerged by us'
				/w/names/systemd-sysext merge 2>/dev/null; /w/names/systemd-confext merge 2>/dev/null
				cat /usr/share/witness/* /opt/witness /etc/share/witness/settings
				questions 'merged by us'
				systemd-sysext unmerge 2>/dev/null; systemd-confext unmerge 2>/dev/null
				questions 'unmerged by systemd'
				echo "$asked asked"`
			want := "one\ntwo_1.0\none\nsettings\n174 asked\n"
			if diff := cmp.Diff(want, c.root.Run(t, binds, "sh", "-c", script)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestSystemdNamesMerge holds what the program says while it merges to what systemd
// says. Of a refresh systemd says that it unmerges first, which ours doesn't.
func TestSystemdNamesMerge(t *testing.T) {
	t.Parallel()
	need.Root(t)
	root := debian.Newest(t)
	binds := map[string]string{namedExtensions(t): "/w"}
	script := "set -eu\nolder=\nalways=yes\n" + sameWords + "merges "
	theirs := root.Run(t, binds, "sh", "-c", script+"''")
	ours := root.Run(t, binds, "sh", "-c", script+"/w/names/")
	if diff := cmp.Diff(theirs, ours); diff != "" || !strings.Contains(ours, "Using extensions 'one', 'two_1.0'.") {
		t.Errorf("(-theirs +ours)\n%s", diff)
	}
}
