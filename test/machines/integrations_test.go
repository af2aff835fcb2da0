//go:build machines

package machines_test

import (
	_ "embed" // integrations.sh
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/boot"
	"inlay/test/debian"
	"inlay/test/machine"
)

//go:embed integrations.sh
var initrdScript string

// TestBootFromInitrd boots initrds that dracut and initramfs-tools have made, with what
// inlay boot install places: the step runs before the root is switched to, links what is
// good in the root that was mounted, and the system that starts then finds it. The
// other integrations are booted by TestBootBySystemd and TestBootWithoutSystemd.
func TestBootFromInitrd(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"dracut", "initramfs-tools"} {
		t.Run(tool, func(t *testing.T) {
			signer, foreign := inlayKeyPair(t, "signer"), newKeyPair(t, "foreign", "p256")
			n := newBareNode(t)
			n.file("etc/verity.d/signer.crt", readFile(t, signer.certificate))
			n.add(bootExtension{name: "hello", signer: signer}, "active")
			n.add(bootExtension{name: "foreign", signer: foreign}, "active")
			n.add(bootExtension{name: "rescue", signer: signer}, "recovery")
			n.payload.run(bootlessScript)
			n.payload.run("told up-report inlay boot report --json; told up-log cat /run/immucore/inlay.log")
			n.payload.run("told first ls -l /run/extensions; told mounts cat /proc/mounts; told merge inlay sysext merge; merged up; readable up hello foreign rescue; told good inlay boot good; answer")
			results := machine.Run(t, machine.Machine{
				Root: machine.BusyboxImage(t, n.root), Initrd: makeInitrd(t, tool),
				Arguments: []string{"init=" + machine.BusyboxInit, "COS_ACTIVE"}, Disks: []machine.Disk{n.disk(), n.a.disk},
			})
			n.a.read()
			r := n.report(t, "up", map[string]fate{
				"sysext hello":   {result: boot.Linked, from: "active"},
				"sysext foreign": {boot.Refused, "active", "signed by CN=inlay test foreign"},
			})
			if r.Hook != tool || r.Boot.Profile != "active" {
				t.Errorf("the report: hook %q, %+v", r.Hook, r.Boot)
			}
			up := map[string]string{"systemd": "", "init": "/bin/busybox", "overlays": "1", "verity": "1", "etc": ""}
			if diff := cmp.Diff(up, results.Case(t, "up")); diff != "" {
				t.Errorf("the kernel's view (-want +got):\n%s\n%s%s", diff, n.a.files["merge"], n.a.files["merge.err"])
			}
			checkContent(t, results, "up", "hello", "readable")
			checkContent(t, results, "up", "foreign", "none")
			checkContent(t, results, "up", "rescue", "none")
			if got := string(n.a.file(t, "good.status")); got != "0\n" {
				t.Errorf("marking the boot good: status %s%s", got, n.a.files["good.err"])
			}
			if t.Failed() {
				t.Logf("the log:\n%s\nlinks:\n%s\nmounts:\n%s", n.a.files["up-log"], n.a.files["first"], n.a.files["mounts"])
			}
		})
	}
}

// makeInitrd has a tool make an initrd with inlay's boot step and no more than a root
// takes, and returns its path.
func makeInitrd(t *testing.T, tool string) string {
	t.Helper()
	kernel, out := debian.NewKernel(t), t.TempDir()
	debian.Initrds(t).Run(t, map[string]string{kernel.Modules(): "/kernel", inlay(t): "/usr/bin/inlay", out: "/out"},
		"sh", "-euc", initrdScript, "integrations.sh", tool, kernel.Version)
	return filepath.Join(out, "initrd")
}
