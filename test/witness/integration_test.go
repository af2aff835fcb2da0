package witness_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/test/debian"
	"inlay/test/need"
)

// installed is a folder in which inlay has placed an integration, for a system where
// inlay is a script that ends well.
func installed(t *testing.T, flags ...string) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/bin/inlay"), "#!/bin/sh\n", 0o755)
	command(t, nil, inlay, append([]string{"boot", "install", "--root", root}, flags...)...)
	return root
}

// TestIntegrationUnits has systemd, old and new, read the units that inlay places: also
// where a boot is only good once no unit has failed, which is found out when all has
// been started. It names what it would leave out to break a circle, or doesn't know.
func TestIntegrationUnits(t *testing.T) {
	t.Parallel()
	need.Root(t)
	const script = `
cp -a /placed/usr/lib/systemd/. /usr/lib/systemd/
cp /placed/usr/bin/inlay /usr/bin/
[ -z "$check" ] || systemctl --root=/ enable systemd-boot-check-no-failures.service
units='inlay-boot.service systemd-sysext.service systemd-confext.service multi-user.target graphical.target'
[ ! -e /placed/usr/lib/systemd/system/inlay-boot-good.service ] || units="$units inlay-boot-good.service"
for unit in systemd-sysext-sysroot.service systemd-confext-sysroot.service; do
  [ ! -e "/usr/lib/systemd/system/$unit" ] || units="$units $unit"
done
systemd-analyze verify --man=no $units 2>&1 | grep -i -e inlay -e sysext -e confext -e cycle || :
`
	for name, root := range map[string]*debian.Root{"257": debian.Tools(t), "newest": debian.Newest(t)} {
		for _, flags := range [][]string{{}, {"--trusted-boot", "--hierarchies", "/usr/bin,/usr/lib"}, {"--no-trials"}} {
			for _, check := range []string{"", "yes"} {
				t.Run(strings.Join(append([]string{name, check}, flags...), " "), func(t *testing.T) {
					t.Parallel()
					placed := installed(t, append([]string{"--for", "systemd"}, flags...)...)
					if said := root.Run(t, map[string]string{placed: "/placed"}, "sh", "-euc", "check="+check+script); said != "" {
						t.Errorf("systemd-analyze says:\n%s", said)
					}
				})
			}
		}
	}
}

// TestIntegrationMarksGood boots systemd with the units that inlay places: the boot is
// marked good once all has been started and, where that is asked for, nothing failed.
func TestIntegrationMarksGood(t *testing.T) {
	t.Parallel()
	const prepare = `
cp -a /placed/usr/lib/systemd/. /usr/lib/systemd/
cp /inlay /usr/bin/inlay
cat >/etc/systemd/system/last.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sleep 1; systemctl show --property=ActiveState --value inlay-boot-good.service >/run/before; exec $how'
[Install]
WantedBy=multi-user.target
UNIT
systemctl --quiet enable last.service
`
	// As systemd-boot-check-no-failures.service, which also waits for graphical.target, and
	// so in a container for the script below.
	const check = `
cat >/etc/systemd/system/check.service <<'UNIT'
[Unit]
After=multi-user.target
Before=boot-complete.target
[Service]
Type=oneshot
ExecStart=/usr/lib/systemd/systemd-boot-check-no-failures
[Install]
RequiredBy=boot-complete.target
UNIT
systemctl --quiet enable check.service
`
	const script = `
for try in $(seq 200); do
  systemctl list-jobs --no-legend | grep -v -q job.service || break
  sleep 0.1
done
echo "boot $(systemctl is-active inlay-boot.service), before $(cat /run/before), good $(systemctl is-active inlay-boot-good.service || :)"
journalctl --quiet --output=cat -u inlay-boot-good.service -t inlay
systemctl --failed --no-legend --plain
journalctl --quiet --output=cat --priority=warning _PID=1 | grep -i -e cycle -e inlay || :
`
	placed := installed(t, "--for", "systemd")
	const marked = "good for profile none: it used no extension\n"
	for _, c := range []struct{ name, prepare, want string }{
		{"nobody checks", strings.Replace(prepare, "$how", "false", 1), "boot active, before inactive, good active\n" + marked},
		{"all is well", strings.Replace(prepare, "$how", "true", 1) + check, "boot active, before inactive, good active\n" + marked},
		{"a unit fails", strings.Replace(prepare, "$how", "false", 1) + check, "boot active, before inactive, good inactive\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := debian.System(t).Boot(t, map[string]string{placed: "/placed", inlay: "/inlay"}, c.prepare, script)
			var lines []string
			for line := range strings.Lines(got) {
				if strings.HasPrefix(line, "boot ") || strings.HasPrefix(line, "good for") || strings.Contains(strings.ToLower(line), "cycle") {
					lines = append(lines, line)
				}
			}
			if strings.Join(lines, "") != c.want {
				t.Errorf("want:\n%s\ngot:\n%s", c.want, got)
			}
		})
	}
}

// TestIntegrationScripts has the shells that may run them read the scripts that inlay
// places, and shellcheck.
func TestIntegrationScripts(t *testing.T) {
	t.Parallel()
	bash, dash := need.Tool(t, "bash", "bash"), need.Tool(t, "dash", "dash")
	busybox, shellcheck := need.Tool(t, "busybox", "busybox-static"), need.Tool(t, "shellcheck", "shellcheck")
	count := 0
	for _, name := range []string{"openrc", "sysvinit", "busybox", "dracut", "initramfs-tools"} {
		root := installed(t, "--for", name)
		var scripts []string
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || path == filepath.Join(root, "usr/bin/inlay") {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.HasPrefix(string(text), "#!") {
				scripts = append(scripts, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(scripts)
		for _, script := range scripts {
			count++
			text, err := os.ReadFile(script)
			if err != nil {
				t.Fatal(err)
			}
			shells, dialect := [][]string{{dash, "-n"}, {busybox, "sh", "-n"}, {bash, "--posix", "-n"}}, "sh"
			if strings.HasPrefix(string(text), "#!/bin/bash\n") {
				shells, dialect = [][]string{{bash, "-n"}}, "bash"
			}
			for _, argv := range append(shells, []string{shellcheck, "--severity=style", "--exclude=SC1091,SC2034", "--shell=" + dialect}) {
				if out, err := exec.CommandContext(t.Context(), argv[0], append(argv[1:], script)...).CombinedOutput(); err != nil || len(out) > 0 {
					t.Errorf("%q of %s: %v\n%s", argv, strings.TrimPrefix(script, root), err, out)
				}
			}
		}
	}
	if count != 10 {
		t.Errorf("%d scripts", count)
	}
}
