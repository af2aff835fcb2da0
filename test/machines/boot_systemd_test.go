//go:build machines

package machines_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/test/machine"
)

// TestBootBySystemd boots systemd to multi-user.target, the oldest and the newest
// that we care for: the boot step runs as the unit that inlay placed, and systemd's
// own services merge what it has linked, through dm-verity and by signature only.
func TestBootBySystemd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, version string
		disks         func(t *testing.T) []machine.Disk
	}{
		{"257", "257", func(*testing.T) []machine.Disk { return nil }},
		{"newest", "", func(t *testing.T) []machine.Disk {
			return []machine.Disk{{Path: machine.NewestImage(t), Serial: machine.SystemSerial}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			signer, foreign := inlayKeyPair(t, "signer"), newKeyPair(t, "foreign", "p256")
			n := newBootNode(t, "--for", "systemd", "--trusted-boot")
			n.bySystemd()
			n.file("etc/verity.d/signer.crt", readFile(t, signer.certificate))
			// As an installer does it.
			medium := t.TempDir()
			for _, e := range []bootExtension{{name: "hello", signer: signer}, {name: "settings", signer: signer, confext: true}} {
				image := e.make(t)
				writeFile(t, filepath.Join(medium, "extensions", filepath.Base(image)), readFile(t, image))
			}
			runInlay(t, "sysext", "import", medium, "--root", n.root, "--active", "--passive")
			n.add(bootExtension{name: "shared", signer: signer}, "common")
			n.add(bootExtension{name: "rescue", signer: signer}, "recovery")
			n.add(bootExtension{name: "foreign", signer: foreign}, "active")

			n.payload.run("looked up")
			n.payload.run("readable up hello shared foreign")
			n.payload.run(`result units "setting=$(cat /etc/inlay-test/settings/name) target=$(systemctl is-active multi-user.target)` +
				` boot=$(systemctl is-active inlay-boot.service) good=$(systemctl is-active inlay-boot-good.service)` +
				` sysext=$(systemctl is-active systemd-sysext.service) confext=$(systemctl is-active systemd-confext.service)` +
				` failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ,)"`)
			n.payload.run("told dissect systemd-dissect /var/lib/kairos/extensions/hello.sysext.raw")
			n.payload.run("told journal journalctl -b -o short-monotonic -u inlay-boot -u systemd-sysext -u systemd-confext")
			results := n.run(machine.Machine{Arguments: []string{"COS_ACTIVE"}, Disks: c.disks(t)})
			defer func() {
				if t.Failed() {
					t.Logf("the journal:\n%s", n.a.files["journal"])
				}
			}()

			r := n.report(t, "up", map[string]fate{
				"sysext hello": {result: boot.Linked, from: "active"}, "confext settings": {result: boot.Linked, from: "active"},
				"sysext shared":  {result: boot.Linked, from: "common"},
				"sysext foreign": {result: boot.Refused, from: "active", reason: "which is not the one trusted key"},
			})
			if r.Hook != "systemd" || r.Boot.Profile != "active" || r.Boot.TrustedBoot || r.Trust.Policy != "signed" {
				t.Errorf("the report: hook %q, %+v, %+v", r.Hook, r.Boot, r.Trust)
			}
			checkedBy(t, r, nil, []string{"hello", "settings", "shared"})
			n.merged(t, "up", extension.Sysext(), "hello", "shared")
			n.merged(t, "up", extension.Confext(), "settings")
			if got := n.verity(t, "up"); got != 3 {
				t.Errorf("%d dm-verity devices:\n%s", got, n.a.files["up-verity"])
			}
			want := map[string]string{
				"setting": "settings", "target": "active", "boot": "active", "good": "active", "sysext": "active", "confext": "active", "failed": "",
			}
			if diff := cmp.Diff(want, results.Case(t, "units")); diff != "" {
				t.Errorf("the units (-want +got):\n%s", diff)
			}
			for name, want := range map[string]string{"hello": "readable", "shared": "readable", "foreign": "none"} {
				if got := results.Case(t, "up-"+name)["content"]; got != want {
					t.Errorf("%s is %s, not %s", name, got, want)
				}
			}
			dissected := string(n.a.file(t, "dissect"))
			for _, pattern := range []string{`sysext for system`, `(?m)^ro +root .* erofs .* signed `, `root-verity-sig`} {
				if !regexp.MustCompile(pattern).MatchString(dissected) {
					t.Errorf("systemd-dissect doesn't say %q:\n%s%s", pattern, dissected, n.a.files["dissect.err"])
				}
			}
			for _, line := range []string{"sysext: 2 linked, 1 not", "confext: 1 linked, 0 not"} {
				if !strings.Contains(string(n.a.file(t, "up-log")), line) {
					t.Errorf("the log doesn't say %q:\n%s", line, n.a.files["up-log"])
				}
			}
		})
	}
}
