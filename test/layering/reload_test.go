package layering_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
)

// reloadScript counts, for each way in which an extension can ask for it, how often
// a command has the service manager load its units, and start and reload a service.
// Its arguments are programs.
const reloadScript = `
mkdir -p /run/systemd/system-generators /run/systemd/system /run/extensions /run/confexts
for f in loads starts reloads; do : >/run/$f; done
printf '#!/bin/sh\necho x >>/run/loads\n' >/run/systemd/system-generators/count
chmod +x /run/systemd/system-generators/count
service() { printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c "echo x >>/run/starts"\nExecReload=/bin/sh -c "echo x >>/run/reloads"\n'; }
service >/run/systemd/system/host.service
systemctl daemon-reload
systemctl start host.service
lines() { wc -l </run/$1; }
count() {
  l=$(lines loads) s=$(lines starts) r=$(lines reloads)
  "$@" >/dev/null 2>&1 || echo "$case: exit $?"
  shift
  own=
  if [ "$case" = own ]; then own=" and own.service is $(systemctl is-active own.service || :)"; fi
  echo "$case: $*: loads $(($(lines loads) - l)), starts $(($(lines starts) - s)), reloads $(($(lines reloads) - r))$own"
}
play() { # PROGRAM CASE KEYS [OPTION]
  case=$2
  d=/run/extensions/a/usr/lib/extension-release.d
  mkdir -p $d
  printf "ID=_any\n$3" >$d/extension-release.a
  if [ "$case" = own ]; then mkdir -p /run/extensions/a/usr/lib/systemd/system; service >/run/extensions/a/usr/lib/systemd/system/own.service; fi
  count $1 ${4:-} merge
  mkdir -p /run/extensions/b/usr/lib/extension-release.d
  echo ID=_any >/run/extensions/b/usr/lib/extension-release.d/extension-release.b
  count $1 ${4:-} refresh
  case="$2, again"
  count $1 ${4:-} refresh
  case=$2
  if [ "$case" = own ]; then systemctl start own.service; fi
  count $1 ${4:-} unmerge
  rm -r /run/extensions/a /run/extensions/b
}
for program; do
  echo "@program"
  play $program nothing ''
  play $program manager 'EXTENSION_RELOAD_MANAGER=1\n'
  play $program 'not wanted' 'EXTENSION_RELOAD_MANAGER=1\n' --no-reload
  play $program off 'EXTENSION_RELOAD_MANAGER=0\n'
  play $program nonsense 'EXTENSION_RELOAD_MANAGER=perhaps\n'
  play $program restart 'EXTENSION_RESTART_UNITS=host.service\n'
  play $program reload 'EXTENSION_RELOAD_OR_RESTART_UNITS=host.service\n'
  play $program both 'EXTENSION_RESTART_UNITS=host.service\nEXTENSION_RELOAD_OR_RESTART_UNITS=host.service\n'
  play $program 'no unit' 'EXTENSION_RESTART_UNITS="no/unit host.service"\n'
  play $program 'restart not wanted' 'EXTENSION_RESTART_UNITS=host.service\n' --no-reload
  play $program own 'EXTENSION_RELOAD_MANAGER=1\nEXTENSION_RESTART_UNITS=own.service\n'
done
`

// unitKeys are the cases whose keys systemd knows since 262.
func unitKeys() []string { return []string{"restart", "reload", "both", "no unit", "own"} }

// TestReloadAsSystemd holds what extensions can ask of the service manager (section
// 2.8) to what systemd does, where it is PID 1.
func TestReloadAsSystemd(t *testing.T) {
	t.Parallel()
	older, newest, _ := sides(t)
	folder := stage(t)
	older.root = debian.System(t)
	said := map[string][]string{}
	for _, s := range []side{older, newest} {
		output := s.root.Boot(t, map[string]string{folder: "/w"}, "", "set -- systemd-sysext /w/programs/systemd-sysext\n"+reloadScript)
		parts := strings.Split(output, "@program\n")
		if len(parts) != 3 {
			t.Fatalf("%s: %q", s.name, output)
		}
		said[s.name], said[s.name+" inlay"] = strings.Split(parts[1], "\n"), strings.Split(parts[2], "\n")
	}
	t.Log(strings.Join(said[newest.name], "\n"))
	if diff := cmp.Diff(said[newest.name], said[newest.name+" inlay"]); diff != "" {
		t.Errorf("systemd %d (-systemd +inlay):\n%s", newest.version, diff)
	}
	for n, theirs := range said[older.name] {
		// It does not skip a refresh that changes nothing.
		ours, differ := said[older.name+" inlay"][n], strings.Contains(theirs, ", again: ")
		for _, key := range unitKeys() {
			differ = differ || strings.HasPrefix(theirs, key+": ")
		}
		if !differ && theirs != ours {
			t.Errorf("systemd 257: %q, and inlay %q", theirs, ours)
		}
	}
	if fmt.Sprint(said[older.name]) == fmt.Sprint(said[older.name+" inlay"]) {
		t.Error("systemd 257 knows the keys for units")
	}
}
