//go:build machines

package machines_test

import (
	"maps"
	"strings"
	"testing"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/internal/keys"
	"inlay/test/machine"
	"inlay/test/sample"
)

// bootDisk is a disk as an installer of Kairos leaves it: a boot menu, an entry and a
// signed kernel image for each profile, and what else it puts there.
func (b bootBoard) bootDisk(t *testing.T, entry string, more map[string]string) string {
	t.Helper()
	pair, err := keys.Load(b["boot"].key, b["boot"].certificate)
	if err != nil {
		t.Fatal(err)
	}
	uki := machine.UKI{Key: b["boot"].key, Certificate: b["boot"].certificate, Arguments: []string{"rd.immucore.uki"}}.Build(t)
	files := map[string]string{
		"/EFI/BOOT/BOOTX64.EFI": signedMenu(t, pair),
		"/loader/loader.conf":   fileOf(t, "timeout 0\ndefault "+entry+".conf\n"),
	}
	for _, profile := range []string{"active", "passive", "recovery"} {
		files["/loader/entries/"+profile+".conf"] = fileOf(t, "title "+profile+"\nefi /EFI/kairos/"+profile+".efi\n")
	}
	files["/EFI/kairos/"+entry+".efi"] = uki
	maps.Copy(files, more)
	return partitioned(t, []string{sample.ESP}, []string{"aaaaaaaa-2222-4333-8444-555555555555"}, []string{machine.ESP(t, files)})
}

// inProfiles puts an extension for each profile into the store, one for all, and one
// that no boot but those of two profiles uses.
func (n *bootNode) inProfiles(signer keyPair) {
	n.t.Helper()
	for _, profile := range []string{"active", "passive", "recovery", "common"} {
		n.add(bootExtension{name: "for-" + profile, signer: signer}, profile)
	}
	n.add(bootExtension{name: "for-two", signer: signer}, "active", "passive")
	n.add(bootExtension{name: "for-none", signer: signer})
}

// linkedFor are the extensions of inProfiles that a profile uses.
func linkedFor(profile string) map[string]fate {
	want := map[string]fate{"sysext for-common": {result: boot.Linked, from: "common"}}
	if profile != "" {
		want["sysext for-"+profile] = fate{result: boot.Linked, from: profile}
	}
	if profile == "active" || profile == "passive" {
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

// TestBootProfiles boots each profile, told by the entry of the boot menu and by the
// kernel's command line, and looks at what is linked and merged. That of active by
// the command line is TestBootBySystemd, and by the menu TestTrustedBootBySystemd.
func TestBootProfiles(t *testing.T) {
	t.Parallel()
	b := newBootBoard(t)
	for _, c := range []struct {
		name, profile, state, decided string
		trusted                       bool
		arguments                     []string
	}{
		{name: "passive by the menu", profile: "passive", state: "passive", decided: "boot loader entry passive.conf", trusted: true},
		{name: "recovery by the menu", profile: "recovery", state: "recovery", decided: "boot loader entry recovery.conf", trusted: true},
		{name: "passive by the command line", profile: "passive", state: "passive", decided: "COS_PASSIVE", arguments: []string{"COS_PASSIVE"}},
		{name: "reset by the command line", profile: "recovery", state: "autoreset", decided: "kairos.reset", arguments: []string{"COS_RECOVERY", "kairos.reset"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newBootNode(t, "--for", "systemd", "--trusted-boot")
			n.inProfiles(b["p256"])
			m := machine.Machine{Arguments: c.arguments}
			if c.trusted {
				n.payload.run("firmware")
				m.Firmware = &machine.Firmware{Variables: b.variables(t), ESP: b.bootDisk(t, c.profile, nil)}
			} else {
				n.file("etc/verity.d/signer.crt", readFile(t, b["p256"].certificate))
			}
			n.payload.run("inlay boot --hook script; by_unit sysext; looked up")
			n.run(m)
			want := linkedFor(c.profile)
			var expected []string
			if c.profile == "recovery" {
				// This one brings its extensions itself: no disk has the node's store.
				expected = append(expected, "no partition is labelled COS_PERSISTENT")
			}
			r := n.report(t, "up", want, expected...)
			if r.Boot.Profile != c.profile || string(r.Boot.State) != c.state || !strings.Contains(r.Boot.Decided, c.decided) || r.Boot.TrustedBoot != c.trusted {
				t.Errorf("booted: %+v", r.Boot)
			}
			n.merged(t, "up", extension.Sysext(), names(want)...)
		})
	}
}

// TestTrustedBootBySystemd boots systemd from a disk with a boot menu under Secure
// Boot: the unit takes in what the installer has left beside the kernel image, and
// closes what somebody may have planted before systemd's own services merge. Without
// it they merge nothing.
func TestTrustedBootBySystemd(t *testing.T) {
	t.Parallel()
	b, foreign := newBootBoard(t), newKeyPair(t, "foreign", "p256")
	n := newBootNode(t, "--for", "systemd", "--trusted-boot")
	n.bySystemd()
	n.inProfiles(b["p256"])
	n.add(bootExtension{name: "foreign", signer: foreign}, "active")
	n.file("etc/verity.d/foreign.crt", readFile(t, foreign.certificate))
	n.file("etc/systemd/system/systemd-sysext.service.d/99-any.conf",
		"[Unit]\nConditionPathExists=\n[Service]\nExecStart=\nExecStart=systemd-sysext refresh --image-policy=*\n")
	n.payload.add("planted.raw", bootExtension{name: "planted", flags: []string{"--filesystem", "squashfs"}, spoil: naked}.make(t))
	writeFile(t, n.folder+"/prepare.sh", bootScript+"plant for-active\n")
	left := bootExtension{name: "left", signer: b["PK"]}.make(t)

	n.payload.run("looked up; open_folders merged; readable up for-active for-common left planted planted-folder foreign")
	n.payload.run(`result units "settings=$(ls /etc/systemd/system/systemd-sysext.service.d) planted=$(ls /etc/inlay-planted) boot=$(systemctl is-active inlay-boot.service) sysext=$(systemctl is-active systemd-sysext.service)"`)
	n.payload.run("told journal journalctl -b -o short-monotonic -u inlay-boot -u systemd-sysext -u systemd-confext")
	// Switched off, as if it had died: what is linked is not merged.
	n.payload.run(`{ tr -d '\n' </proc/cmdline; echo ' inlay.boot=0'; } >/run/cmdline`)
	n.payload.run("mount --bind /run/cmdline /proc/cmdline; systemctl restart inlay-boot; systemctl restart systemd-sysext systemd-confext")
	n.payload.run("readable off for-active planted planted-folder; open_folders off; told off-report inlay boot report --json")
	results := n.run(machine.Machine{Firmware: &machine.Firmware{
		Variables: b.variables(t),
		ESP:       b.bootDisk(t, "active", map[string]string{"/EFI/kairos/active.efi.extra.d/left.sysext.raw": left}),
	}})
	defer func() {
		if t.Failed() {
			t.Logf("the journal:\n%s", n.a.files["journal"])
		}
	}()

	want := linkedFor("active")
	want["sysext left"] = fate{result: boot.Linked, from: "active"}
	want["sysext foreign"] = fate{boot.Refused, "active", "none of the"}
	for _, file := range []string{"/run/extensions/planted-folder", "/run/extensions/planted.sysext.raw", "/run/extensions/for-active.sysext.raw", "/run/confexts/planted-folder"} {
		folder := file[:strings.LastIndex(file, "/")]
		want[file] = fate{boot.Refused, folder, "only what the boot step has judged"}
	}
	r := n.report(t, "up", want)
	if r.Hook != "systemd" || !r.Boot.TrustedBoot || !strings.Contains(r.Boot.Decided, "boot loader entry active.conf") || len(r.Taken) != 1 || r.Taken[0].Error != "" {
		t.Errorf("the report: hook %q, %+v, taken in %+v", r.Hook, r.Boot, r.Taken)
	}
	n.merged(t, "up", extension.Sysext(), append(names(linkedFor("active")), "left")...)
	for name, want := range map[string]string{"for-active": "readable", "for-common": "readable", "left": "readable", "planted": "none", "planted-folder": "none", "foreign": "none"} {
		checkContent(t, results, "up", name, want)
	}
	checkCase(t, results, "units", map[string]string{"settings": "", "planted": "", "boot": "active", "sysext": "active"})
	checkCase(t, results, "merged", map[string]string{"open": ""})
	checkCase(t, results, "off", map[string]string{"open": ""})
	if off := decode[boot.Report](t, n.a, "off-report"); off.Off != "inlay.boot=0" {
		t.Errorf("off by %q", off.Off)
	}
	for _, name := range []string{"for-active", "planted", "planted-folder"} {
		checkContent(t, results, "off", name, "none")
	}
}
