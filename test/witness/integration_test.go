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
