//go:build machines

package machines_test

import (
	_ "embed" // integrations.sh
	"path/filepath"
	"strings"
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
// good in the root that was mounted, or on a medium that it mounts itself, and the
// system that starts then finds it. The other integrations are booted by
// TestBootBySystemd and TestBootWithoutSystemd.
func TestBootFromInitrd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tool, word, from string
	}{
		{"dracut", "COS_ACTIVE", "active"},
		{"initramfs-tools", "test=live:LABEL", "medium"},
	} {
		t.Run(c.tool, func(t *testing.T) {
			signer, foreign := inlayKeyPair(t, "signer"), newKeyPair(t, "foreign", "p256")
			n := newBareNode(t)
			n.file("etc/verity.d/signer.crt", readFile(t, signer.certificate))
			disks := []machine.Disk{}
			if c.from == "medium" {
				disks = append(disks, machine.Disk{Path: liveDisc(t, bootExtension{name: "hello", signer: signer}, bootExtension{name: "foreign", signer: foreign}), Serial: "live"})
				n.add(bootExtension{name: "stored", signer: signer}, "common")
			} else {
				n.add(bootExtension{name: "hello", signer: signer}, c.from)
				n.add(bootExtension{name: "foreign", signer: foreign}, c.from)
				n.add(bootExtension{name: "stored", signer: signer}, "recovery")
			}
			n.payload.run(bootlessScript)
			n.payload.run("told up-report inlay boot report --json; told up-log cat /run/immucore/inlay.log")
			n.payload.run("told first ls -l /run/extensions; told mounts cat /proc/mounts; told merge inlay sysext merge; merged up; readable up hello foreign stored; told good inlay boot good; answer")
			initrd := makeInitrd(t, c.tool)
			results := machine.Run(t, machine.Machine{
				Root: machine.BusyboxImage(t, n.root), Initrd: filepath.Join(initrd, "initrd"),
				Arguments: []string{"init=" + machine.BusyboxInit, c.word}, Disks: append(disks, n.disk(), n.a.disk),
			})
			n.a.read()
			r := n.report(t, "up", map[string]fate{
				"sysext hello":   {result: boot.Linked, from: c.from},
				"sysext foreign": {boot.Refused, c.from, "signed by CN=inlay test foreign"},
			})
			if r.Hook != c.tool || (r.Boot.Profile == "active") != (c.from == "active") {
				t.Errorf("the report: hook %q, %+v", r.Hook, r.Boot)
			}
			up := map[string]string{"systemd": "", "init": "/bin/busybox", "overlays": "1", "verity": "1", "etc": ""}
			if diff := cmp.Diff(up, results.Case(t, "up")); diff != "" {
				t.Errorf("the kernel's view (-want +got):\n%s\n%s%s", diff, n.a.files["merge"], n.a.files["merge.err"])
			}
			checkContent(t, results, "up", "hello", "readable")
			checkContent(t, results, "up", "foreign", "none")
			checkContent(t, results, "up", "stored", "none")
			if got := string(n.a.file(t, "good.status")); got != "0\n" {
				t.Errorf("marking the boot good: status %s%s", got, n.a.files["good.err"])
			}
			files := readFile(t, filepath.Join(initrd, "files"))
			for _, module := range []string{"dm-verity", "erofs", "fat", "isofs", "loop", "nls_ascii", "nls_cp437", "overlay", "sr_mod", "squashfs", "vfat"} {
				if !strings.Contains(files, "/"+module+".ko") {
					t.Errorf("the initrd lacks the module %s", module)
				}
			}
			if t.Failed() {
				t.Logf("the log:\n%s\nlinks:\n%s\nmounts:\n%s", n.a.files["up-log"], n.a.files["first"], n.a.files["mounts"])
			}
		})
	}
}

// makeInitrd has a tool make an initrd with inlay's boot step and no more than a root
// takes, and returns the folder with that and the list of its files.
func makeInitrd(t *testing.T, tool string) string {
	t.Helper()
	kernel, out := debian.NewKernel(t), t.TempDir()
	debian.Initrds(t).Run(t, map[string]string{kernel.Modules(): "/kernel", inlay(t): "/usr/bin/inlay", out: "/out"},
		"sh", "-euc", initrdScript, "integrations.sh", tool, kernel.Version)
	return out
}

// liveDisc is a medium as Kairos makes it, with extensions.
func liveDisc(t *testing.T, extensions ...bootExtension) string {
	t.Helper()
	folder, out := t.TempDir(), t.TempDir()
	for _, e := range extensions {
		image := e.make(t)
		writeFile(t, filepath.Join(folder, "extensions", filepath.Base(image)), readFile(t, image))
	}
	debian.Tools(t).Run(t, map[string]string{folder: "/tree", out: "/out"},
		"xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "COS_LIVE", "-o", "/out/live.iso", "/tree")
	return filepath.Join(out, "live.iso")
}
