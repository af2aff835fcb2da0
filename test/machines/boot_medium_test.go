//go:build machines

package machines_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
	"inlay/test/debian"
	"inlay/test/machine"
)

// liveCmdline is the command line of the medium's kernel image. Nobody but the kernel
// is to check signatures, and it knows the keys in db.
const liveCmdline = "console=ttyS0 panic=-1 mitigations=off no_timer_check quiet audit=0 rd.immucore.uki install-mode systemd.allow_userspace_verity=0"

// TestMediumWithExtensions goes the documents' road from its beginning: keys, an
// extension with a service, a medium that carries it, a board without keys. It enrols
// and starts anew under Secure Boot; by db alone the extension is verified and merged,
// and its service is started by that very boot. What is beside it on the same medium
// and signed by another key is refused, and nothing else is. On a stick, which has
// partitions, it is the same medium.
func TestMediumWithExtensions(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	set := filepath.Join(work, "keys")
	runInlay(t, "keys", "create", "story", "--output", set, "--extension-key", "p256")
	db := keyPair{filepath.Join(set, "db.key"), filepath.Join(set, "db.pem")}
	ext := keyPair{filepath.Join(set, "ext.key"), filepath.Join(set, "ext.pem")}

	const folder = "usr/share/inlay-test/service"
	service := bootExtension{
		name: "service", signer: db, flags: []string{"--enable-unit", "story.service"},
		files: map[string]string{
			folder + "/run": "echo started >/run/story\nexec sleep infinity\n",
			"usr/lib/systemd/system/story.service": "[Unit]\nDescription=A service that an extension brings\n" +
				"[Service]\nExecStart=/bin/sh /" + folder + "/run\n[Install]\nWantedBy=multi-user.target\n",
		},
	}.make(t)
	carried := bootExtension{name: "carried", signer: ext}.make(t)
	overlay := filepath.Join(work, "overlay")
	foreign := bootExtension{name: "foreign", signer: newKeyPair(t, "foreign", "rsa2048")}.make(t)
	writeFile(t, filepath.Join(overlay, "extensions", filepath.Base(foreign)), readFile(t, foreign))
	runInlay(t, "media", "iso", "dir:"+machine.LiveRoot(t), "--overlay-rootfs", liveOverlay(t), "--name", "story", "--output", work,
		"--keys", set, "--rootfs-as-initrd", "--cmdline", liveCmdline, "--secure-boot-enroll", "force",
		"--extension", service, "--extension", carried, "--overlay-iso", overlay, "--allow-untrusted")

	p, a := newPayload(t), newAnswers(t)
	n := &bootNode{payload: p, a: a}
	n.bySystemd()
	// What udev finds and loads on a machine that is not in such a hurry.
	writeFile(t, filepath.Join(p.folder, "prepare.sh"), "modprobe -a ahci sr_mod isofs\nfor _ in $(seq 100); do [ -e /dev/sr0 ] && break; sleep 0.1; done\n")
	p.script.WriteString(verifyScript)
	p.script.WriteString(bootScript)
	p.run(`for _ in $(seq 50); do [ -e /run/story ] && break; sleep 0.1; done`)
	p.run("looked up; readable up service carried foreign")
	p.run(`result units "service=$(systemctl is-active story.service) said=$(cat /run/story) target=$(systemctl is-active multi-user.target) boot=$(systemctl is-active inlay-boot.service)` +
		` failed=$(systemctl --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ,)"`)
	p.run("keep firmware", variableFiles("PK", "KEK", "db", "SecureBoot", "SetupMode"))
	p.run("told journal journalctl -b -o short-monotonic -u inlay-boot -u systemd-sysext -u story")
	p.run("answer")
	medium, variables := filepath.Join(work, "story.iso"), machine.NewBoard(t)
	results := machine.Run(t, machine.Machine{
		Firmware: &machine.Firmware{Variables: variables, Keep: true, CD: medium, Reboots: true},
		Disks:    []machine.Disk{p.disk(), a.disk}, Deadline: 10 * time.Minute,
	})
	a.read()
	defer func() {
		if t.Failed() {
			t.Logf("the journal:\n%s", a.files["journal"])
		}
	}()

	a.state(t, "firmware", true, false)
	want := map[string]fate{
		"sysext service": {result: boot.Linked, from: "medium"},
		"sysext carried": {boot.LeftOut, "medium", "the kernel alone is to check signatures"},
		"sysext foreign": {boot.Refused, "medium", "signed by CN=inlay test foreign"},
	}
	r := n.report(t, "up", want)
	if !r.Boot.TrustedBoot || r.Boot.State != bootstate.LiveCD || r.Hook != "systemd" || r.Trust.Policy != "signed" {
		t.Errorf("the report: %+v, hook %q, %+v", r.Boot, r.Hook, r.Trust)
	}
	origins := map[string]bool{}
	for _, anchor := range r.Trust.Anchors {
		origins[anchor.Subject+" from "+anchor.Origin] = true
	}
	for _, want := range []string{"CN=story-PK from firmware PK", "CN=story-KEK from firmware KEK", "CN=story-db from firmware db"} {
		if !origins[want] {
			t.Errorf("nobody trusts %s: %v", want, origins)
		}
	}
	if got := string(a.file(t, "up-systemd-sysext")); !strings.Contains(got, `"extensions":["service"]`) {
		t.Errorf("systemd-sysext says %s", got)
	}
	if got := bytes.Count(a.file(t, "up-verity"), []byte("root_hash_sig_key_desc")); got != 1 {
		t.Errorf("the kernel has checked %d signatures:\n%s", got, a.files["up-verity"])
	}
	checkContent(t, results, "up", "service", "readable")
	checkContent(t, results, "up", "carried", "none")
	checkContent(t, results, "up", "foreign", "none")
	checkCase(t, results, "units", map[string]string{"service": "active", "said": "started", "target": "active", "boot": "active", "failed": ""})

	bootStick(t, medium, variables, want)
}

// bootStick boots a medium that is written to a USB stick, on a board that has its keys.
func bootStick(t *testing.T, medium, variables string, want map[string]fate) {
	t.Helper()
	p, a := newPayload(t), newAnswers(t)
	n := &bootNode{payload: p, a: a}
	p.script.WriteString(verifyScript)
	p.script.WriteString(bootScript)
	p.run("firmware; inlay boot --hook script; told stick-report inlay boot report --json; answer")
	running := machine.Start(t, machine.Machine{
		Firmware: &machine.Firmware{Variables: variables, Stick: medium}, Disks: []machine.Disk{p.disk(), a.disk},
	})
	running.Wait(t, line("BdsDxe: starting", "USB"))
	running.Wait(t, machine.Mark("done"))
	running.Stop()
	a.read()
	r := n.report(t, "stick", want)
	if !r.Boot.TrustedBoot || r.Boot.State != bootstate.Installer || r.Boot.Decided != "boot loader entry norole.conf" {
		t.Errorf("booted from a stick: %+v", r.Boot)
	}
}

// liveOverlay is what a live system has beside Debian: a kernel, systemd's boot loader
// and stub, inlay, and a PID 1 that prepares the machine for the test's script.
func liveOverlay(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	kernel := debian.NewKernel(t)
	installInlay(t, root, "--for", "systemd", "--trusted-boot")
	loader := filepath.Join(debian.Tools(t).Folder(), bootFolder)
	writeFile(t, filepath.Join(root, "usr/lib/modules", kernel.Version, "vmlinuz"), readFile(t, kernel.Compressed()))
	for _, name := range []string{"linuxx64.efi.stub", "systemd-bootx64.efi"} {
		writeFile(t, filepath.Join(root, bootFolder, name), readFile(t, filepath.Join(loader, name)))
	}
	if err := os.Symlink(strings.TrimPrefix(machine.Init, "/"), filepath.Join(root, "init")); err != nil {
		t.Fatal(err)
	}
	return root
}
