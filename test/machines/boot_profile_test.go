//go:build machines

package machines_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/internal/keys"
	"inlay/test/machine"
	"inlay/test/sample"
)

// menuProfiles are the profiles that the menu of a bootDisk has.
func menuProfiles() []string { return []string{"active", "passive", "recovery"} }

// bootDisk is a disk as an installer of Kairos leaves it: a boot menu, an entry and a
// signed kernel image for each profile, of which the first is what starts by itself,
// and what else it puts there.
func (b bootBoard) bootDisk(t *testing.T, more map[string]string) string {
	t.Helper()
	pair, err := keys.Load(b["boot"].key, b["boot"].certificate)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"/EFI/BOOT/BOOTX64.EFI": signedMenu(t, pair),
		"/loader/loader.conf":   fileOf(t, "timeout 0\ndefault "+menuProfiles()[0]+".conf\n"),
	}
	uki := b.uki(t)
	for _, profile := range menuProfiles() {
		files["/loader/entries/"+profile+".conf"] = fileOf(t, "title "+profile+"\nefi /EFI/kairos/"+profile+".efi\n")
		files["/EFI/kairos/"+profile+".efi"] = uki
	}
	maps.Copy(files, more)
	return partitioned(t, []string{sample.ESP}, []string{"aaaaaaaa-2222-4333-8444-555555555555"}, []string{machine.ESP(t, files)})
}

// inProfiles puts an extension for each profile into the store, one for all, and one
// that no boot but those of two profiles uses, by signers in turn.
func (n *bootNode) inProfiles(signers ...keyPair) {
	n.t.Helper()
	for i, profile := range append(menuProfiles(), "common") {
		n.add(bootExtension{name: "for-" + profile, signer: signers[i%len(signers)]}, profile)
	}
	n.add(bootExtension{name: "for-two", signer: signers[0]}, "active", "passive")
	n.add(bootExtension{name: "for-none", signer: signers[0]})
}

// linkedFor are the extensions of inProfiles that a profile uses.
func linkedFor(profile string) map[string]fate {
	want := map[string]fate{
		"sysext for-common":     {result: boot.Linked, from: "common"},
		"sysext for-" + profile: {result: boot.Linked, from: profile},
	}
	if profile != "recovery" {
		want["sysext for-two"] = fate{result: boot.Linked, from: profile}
	}
	return want
}

// names are those of the fates that are linked.
func names(fates map[string]fate) (linked []string) {
	for name, f := range fates {
		if f.result == boot.Linked {
			linked = append(linked, strings.TrimPrefix(name, "sysext "))
		}
	}
	return linked
}

// noPersistent is what the step says in a recovery system that brings its extensions
// itself: no disk has the node's store.
const noPersistent = "no partition is labelled COS_PERSISTENT"

// booted checks the report of a boot of one of inProfiles, and what was merged.
func (n *bootNode) booted(t *testing.T, name, profile string, trusted bool, decided string) {
	t.Helper()
	want := linkedFor(profile)
	r := n.report(t, name, want, noPersistent)
	if r.Boot.Profile != profile || string(r.Boot.State) != profile || !strings.Contains(r.Boot.Decided, decided) || r.Boot.TrustedBoot != trusted {
		t.Errorf("%s: booted: %+v", name, r.Boot)
	}
	n.merged(t, name, extension.Sysext(), names(want)...)
	if trusted {
		checkedBy(t, r, names(want), nil)
	} else {
		checkedBy(t, r, nil, names(want))
	}
}

// TestBootProfiles boots profiles by the kernel's command line, and looks at what is
// linked and merged: by signers of whom the kernel knows none. That of active is TestBootBySystemd; by the boot menu all of them
// are TestTrustedBootByMenu.
func TestBootProfiles(t *testing.T) {
	t.Parallel()
	var signers []keyPair
	for _, algorithm := range algorithms() {
		signers = append(signers, newKeyPair(t, algorithm, algorithm))
	}
	for profile, word := range map[string]string{"passive": "COS_PASSIVE", "recovery": "COS_RECOVERY"} {
		t.Run(profile, func(t *testing.T) {
			n := newBootNode(t, "--for", "systemd", "--trusted-boot")
			n.inProfiles(signers...)
			for i, signer := range signers {
				n.file(fmt.Sprintf("etc/verity.d/signer-%d.crt", i), readFile(t, signer.certificate))
			}
			n.payload.run("inlay boot --hook script; by_unit sysext; looked up")
			// The same system is started to reset the node.
			n.payload.run("mkdir -p /run/cos; touch /run/cos/autoreset_mode; inlay boot --hook reset; told reset-report inlay boot report --json")
			n.run(machine.Machine{Arguments: []string{word}})
			n.booted(t, "up", profile, false, word)
			r := n.report(t, "reset", linkedFor("recovery"), noPersistent)
			if r.Boot.State != "autoreset" || r.Boot.Profile != "recovery" {
				t.Errorf("reset: %+v", r.Boot)
			}
		})
	}
}

// TestTrustedBootByMenu boots each profile from a disk with a boot menu under Secure
// Boot. The first is of systemd: the unit takes in what the installer has left beside
// the kernel image, and closes what somebody may have planted before systemd's own
// services merge. Without it they merge nothing, and they ask for a signature
// themselves. The others find what the first has left on the disk.
func TestTrustedBootByMenu(t *testing.T) {
	t.Parallel()
	b, foreign := newBootBoard(t, "p256"), newKeyPair(t, "foreign", "p256")
	n := newBootNode(t, "--for", "systemd", "--trusted-boot")
	n.bySystemd()
	n.inProfiles(b["p256"])
	n.store(extension.Confext(), bootExtension{name: "settings", signer: b["p256"], confext: true}.make(t), "settings", "active")
	n.add(bootExtension{name: "foreign", signer: foreign}, "active")
	n.file("etc/verity.d/foreign.crt", readFile(t, foreign.certificate))
	n.file("etc/systemd/system/systemd-sysext.service.d/99-any.conf",
		"[Unit]\nConditionPathExists=\n[Service]\nExecStart=\nExecStart=systemd-sysext refresh --image-policy=*\n")
	n.plants("for-active", "settings")
	// Only the first is of systemd: another init would take longer and show no more.
	writeFile(t, n.folder+"/prepare.sh", verifyScript+bootScript+`firmware
if [ "$(booted)" = active.conf ]; then
  umount /sys/firmware/efi/efivars
  plant for-active settings
else
  mount -t tmpfs tmpfs /tmp
  mount --make-rshared /
  script
fi
`)
	left := bootExtension{name: "left", signer: b["PK"]}.make(t)

	n.payload.run("earlier; case $(booted) in active.conf)")
	n.payload.run("looked active; open_folders active; planted active-planted for-active settings; readable active for-active left foreign")
	n.payload.run(`result units "settings=$(ls /etc/systemd/system/systemd-sysext.service.d) boot=$(systemctl is-active inlay-boot.service) sysext=$(systemctl is-active systemd-sysext.service)"`)
	n.payload.run("told journal journalctl -b -o short-monotonic -u inlay-boot -u systemd-sysext -u systemd-confext")
	// What comes after the step: systemd asks for a signature all the same.
	n.payload.run("cp /payload/planted.sysext.raw /run/extensions; systemctl restart systemd-sysext; planted policy for-active settings")
	n.payload.run("rm /run/extensions/planted.sysext.raw; systemctl restart systemd-sysext; planted again for-active settings")
	// Switched off, and as if it had died: what is linked is not merged.
	n.payload.run(`{ tr -d '\n' </proc/cmdline; echo ' inlay.boot=0'; } >/run/cmdline; mount --bind /run/cmdline /proc/cmdline`)
	n.payload.run("systemctl restart inlay-boot; systemctl restart systemd-sysext systemd-confext; planted off for-active settings; open_folders off-open")
	n.payload.run("told off-report inlay boot report --json; next passive.conf ;;")
	for i, profile := range menuProfiles()[1:] {
		n.payload.run(profile + ".conf) inlay boot --hook script; by_unit sysext; looked " + profile + "; open_folders " + profile + "; planted " + profile + "-planted for-" + profile + " settings")
		if i == 0 {
			n.payload.run("next recovery.conf")
		}
		n.payload.run(";;")
	}
	n.payload.run("esac")
	results := n.run(machine.Machine{Deadline: 10 * time.Minute, Firmware: &machine.Firmware{
		Variables: b.variables(t), Reboots: true,
		ESP: b.bootDisk(t, map[string]string{"/EFI/kairos/active.efi.extra.d/left.sysext.raw": left}),
	}})
	defer func() {
		if t.Failed() {
			t.Logf("the journal:\n%s", n.a.files["journal"])
		}
	}()

	want := linkedFor("active")
	want["sysext left"] = fate{result: boot.Linked, from: "active"}
	want["sysext foreign"] = fate{boot.Refused, "active", "none of the"}
	want["confext settings"] = fate{result: boot.Linked, from: "active"}
	maps.Copy(want, plantedFates("for-active", "settings"))
	r := n.report(t, "active", want)
	if r.Hook != "systemd" || !r.Boot.TrustedBoot || !strings.Contains(r.Boot.Decided, "boot loader entry active.conf") || len(r.Taken) != 1 || r.Taken[0].Error != "" {
		t.Errorf("the report: hook %q, %+v, taken in %+v", r.Hook, r.Boot, r.Taken)
	}
	n.merged(t, "active", extension.Sysext(), append(names(linkedFor("active")), "left")...)
	n.merged(t, "active", extension.Confext(), "settings")
	for name, want := range map[string]string{"for-active": "readable", "left": "readable", "foreign": "none"} {
		checkContent(t, results, "active", name, want)
	}
	checkCase(t, results, "units", map[string]string{"settings": "", "boot": "active", "sysext": "active"})
	seen := map[string]string{"seen": "", "sysext": "for-active", "confext": "settings"}
	checkCase(t, results, "active-planted", seen)
	checkCase(t, results, "policy", with(seen, "sysext", ""))
	checkCase(t, results, "again", seen)
	checkCase(t, results, "off", with(seen, "sysext", "", "confext", ""))
	checkCase(t, results, "off-open", map[string]string{"open": ""})
	if off := decode[boot.Report](t, n.a, "off-report"); off.Off != "inlay.boot=0" {
		t.Errorf("off by %q", off.Off)
	}
	for _, profile := range menuProfiles() {
		checkCase(t, results, profile, map[string]string{"open": ""})
	}
	for _, profile := range menuProfiles()[1:] {
		n.booted(t, profile, profile, true, fmt.Sprintf("boot loader entry %s.conf", profile))
		checkCase(t, results, profile+"-planted", with(seen, "sysext", "for-"+profile, "confext", ""))
	}
}
