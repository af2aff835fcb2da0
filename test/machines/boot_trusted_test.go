//go:build machines

package machines_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/boot"
	"inlay/internal/efi"
	"inlay/internal/extension"
	"inlay/test/machine"
	"inlay/test/sfdisk"
)

// bootBoard are the keys of a machine under Secure Boot, by name: PK, KEK, and those
// in db, of which dbx revokes one and another is out of date. Nobody knows foreign.
type bootBoard map[string]keyPair

func newBootBoard(t *testing.T, algorithms ...string) bootBoard {
	t.Helper()
	b := bootBoard{"expired": newKeyPairUntil(t, "expired", "p256", time.Now().Add(-time.Hour))}
	for _, algorithm := range algorithms {
		b[algorithm] = newKeyPair(t, algorithm, algorithm)
	}
	for _, name := range []string{"PK", "KEK", "boot", "revoked"} {
		b[name] = newKeyPair(t, name, "rsa2048")
	}
	return b
}

// uki is a kernel image that this board boots.
func (b bootBoard) uki(t *testing.T) string {
	t.Helper()
	return machine.UKI{Key: b["boot"].key, Certificate: b["boot"].certificate, Arguments: []string{"rd.immucore.uki"}}.Build(t)
}

// variables are the firmware's.
func (b bootBoard) variables(t *testing.T) string {
	t.Helper()
	trust := machine.Trust{PK: b["PK"].certificate, KEK: b["KEK"].certificate}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if name != "PK" && name != "KEK" {
			trust.DB = append(trust.DB, b[name].certificate)
		}
	}
	board := &board{t, b}
	trust.DBX = []efi.List{board.list(efi.X509(), board.certificate("revoked").Raw)}
	return trust.Variables(t)
}

// naked leaves of an image its file system alone.
func naked(t *testing.T, image string) {
	t.Helper()
	writeFile(t, image, readFile(t, bareImage(t, image)))
}

// brokenSignature changes a letter of an image's signature to another one of base64.
func brokenSignature(t *testing.T, image string) {
	t.Helper()
	changed(t, image, func(content []byte, parts []sfdisk.Partition) int64 {
		start := parts[2].Start
		at := start + int64(bytes.Index(content[start:], []byte(`"}`))) - 20
		for !strings.ContainsRune("BCDEFGHIJKLMNOPQRSTUVWXYbcdefghijklmnopqrstuvwxy0123456789", rune(content[at])) {
			at-- // changed makes a letter's neighbour of it, and these have one
		}
		return at
	})
}

// plants is for the script's function plant: unsigned file systems, and such that have
// the names of a good sysext and a good confext.
func (n *bootNode) plants(sysext, confext string) {
	n.t.Helper()
	for _, good := range []bootExtension{{name: sysext}, {name: confext, confext: true}} {
		kind, folder := extension.Sysext(), "usr/share/inlay-test/"
		if good.confext {
			kind, folder = extension.Confext(), "etc/inlay-test/"
		}
		good.files = map[string]string{folder + good.name + "/twin": "planted\n"}
		for name, e := range map[string]bootExtension{"twin": good, "planted": {name: "planted", confext: good.confext}} {
			e.flags, e.spoil = []string{"--filesystem", "squashfs"}, naked
			n.payload.add(kind.FileName(name), e.make(n.t))
		}
	}
}

// plantedFates are those of what was planted in the run folders, which nobody covers.
func plantedFates(sysext, confext string) map[string]fate {
	fates := map[string]fate{}
	for kind, good := range map[string]string{"sysext": sysext, "confext": confext} {
		folder := map[string]string{"sysext": "/run/extensions", "confext": "/run/confexts"}[kind]
		for _, name := range []string{"planted-folder", "planted." + kind + ".raw", good + "." + kind + ".raw"} {
			fates[folder+"/"+name] = fate{boot.Refused, folder, "only what the boot step has judged"}
		}
	}
	return fates
}

// TestTrustedBootLetsNothingElseIn boots a signed kernel image under Secure Boot, with
// a store that holds good extensions, each by another of the firmware's keys, among
// all kinds of bad ones, and with what somebody may have planted where systemd looks
// for extensions, certificates and settings.
func TestTrustedBootLetsNothingElseIn(t *testing.T) {
	t.Parallel()
	b, foreign := newBootBoard(t, algorithms()...), newKeyPair(t, "foreign", "rsa2048")
	n := newBootNode(t, "--for", "systemd", "--trusted-boot")

	// By the kernel itself those of db, by systemd the two that its keyring lacks.
	byKernel, bySystemd := algorithms(), []string{"kek", "pk"}
	want := plantedFates("rsa2048", "settings")
	for _, name := range []string{"rsa2048", "rsa4096", "p256", "p384", "KEK", "PK"} {
		e := bootExtension{name: strings.ToLower(name), signer: b[name], flags: []string{"--compression", "lz4"}}
		if name == "p384" {
			e.flags = nil // of this one a byte is changed
		}
		n.add(e, "active")
		want["sysext "+e.name] = fate{result: boot.Linked, from: "active"}
	}
	n.store(extension.Confext(), bootExtension{name: "settings", signer: b["p256"], confext: true}.make(t), "settings", "active")
	want["confext settings"] = fate{result: boot.Linked, from: "active"}
	var bad []string
	refuse := func(e bootExtension, reason string) {
		n.add(e, "active")
		want["sysext "+e.name] = fate{boot.Refused, "active", reason}
		bad = append(bad, e.name)
	}
	refuse(bootExtension{name: "foreign", signer: foreign}, "signed by CN=inlay test foreign")
	refuse(bootExtension{name: "unsigned"}, "not signed")
	refuse(bootExtension{name: "naked", flags: []string{"--filesystem", "squashfs"}, spoil: naked}, "without a hash tree nothing can be signed")
	refuse(bootExtension{name: "revoked", signer: b["revoked"]}, "dbx revokes it")
	refuse(bootExtension{name: "expired", signer: b["expired"]}, "CN=inlay test expired expired on")
	refuse(bootExtension{name: "data", signer: b["p256"], spoil: func(t *testing.T, image string) { damage(t, image, "data of the extension data") }}, "is not what the hash tree says")
	refuse(bootExtension{name: "signature", signer: b["p256"], spoil: brokenSignature}, "the signature is broken")
	refuse(bootExtension{name: "architecture", signer: b["p256"], flags: []string{"--arch", "arm64"}}, "the image is for arm64, the host is x86-64")
	refuse(bootExtension{name: "release", signer: b["p256"], flags: []string{"--release", "ID=other", "--release", "VERSION_ID=1"}}, `for the system "other"`)
	refuse(bootExtension{name: "own-trust", signer: b["p256"], files: map[string]string{"usr/lib/verity.d/own.crt": readFile(t, foreign.certificate)}}, "it brings /usr/lib/verity.d")

	// What is on the disk adds nobody, and no weaker policy; it may ask for more.
	for _, folder := range []string{"etc/verity.d", "usr/local/lib/verity.d", "usr/lib/verity.d"} {
		n.file(folder+"/foreign.crt", readFile(t, foreign.certificate))
	}
	n.file("etc/inlay/config.yaml", "policy: any\ntrust:\n  valid_dates: true\n  certificates:\n    - /etc/verity.d/foreign.crt\n")
	n.plants("rsa2048", "settings")

	all := slices.Concat(byKernel, bySystemd)
	good := strings.Join(all, " ")
	n.payload.run("firmware; mkdir -p /run/cos; touch /run/cos/active_mode; plant rsa2048 settings")
	// Switched off, the step closes all the same, and systemd is to merge nothing.
	n.payload.run(`{ tr -d '\n' </proc/cmdline; echo ' inlay.boot=0'; } >/run/cmdline; mount --bind /run/cmdline /proc/cmdline`)
	n.payload.run(`inlay boot --hook off; open_folders off; result handed "over=$(ls /run/inlay/handed-over)"; umount /proc/cmdline`)
	n.payload.run(`inlay boot --hook script; open_folders closed; result handed-all "over=$(ls /run/inlay/handed-over | tr '\n' ,)"`)
	// As an administrator's setting might have it.
	n.payload.run("(export SYSTEMD_SYSEXT_MUTABLE_MODE=import; by_unit sysext; by_unit confext); open_folders merged; planted planted rsa2048 settings")
	n.payload.run("looked first; readable first", good, strings.Join(bad, " "))
	n.payload.run("corrupted p384; readable corrupted p384 p256")
	// What another command than the boot step's would let in.
	n.payload.run("told enable inlay sysext enable --common --now foreign; told refresh inlay sysext refresh; readable refreshed foreign p384 p256")

	// The kernel alone decides, and knows no more than db.
	n.payload.run("systemd-sysext unmerge --no-reload; systemd-confext unmerge --no-reload; open_folders unmerged; cleared; rmmod dm_verity; modprobe dm_verity require_signatures=1")
	n.payload.run("cp /payload/root/var/lib/kairos/extensions/p384.sysext.raw /var/lib/kairos/extensions/")
	n.payload.run("inlay boot --hook strict; by_unit sysext; looked strict; readable strict", good)
	// It is not for the boot step alone to say so: systemd merges nothing with one of those.
	n.payload.run("systemd-sysext unmerge --no-reload; ln -s /var/lib/kairos/extensions/pk.sysext.raw /run/extensions; by_unit sysext; readable forced p256 pk; rm /run/extensions/pk.sysext.raw")

	// Somebody hides the firmware's variables: nobody is trusted, and not everybody.
	n.payload.run("for v in", variableFiles("SecureBoot", "SetupMode", "PK", "KEK", "db", "dbx"), "; do mkdir -p /run/hidden/$v; done; mount --bind /run/hidden /sys/firmware/efi/efivars")
	n.payload.run("inlay boot --hook hidden; told hidden-report inlay boot report --json")
	n.payload.run("by_unit sysext; readable hidden", good)

	results := n.run(machine.Machine{Firmware: &machine.Firmware{Variables: b.variables(t), ESP: machine.BootDisk(t, b.uki(t))}})

	for _, when := range []string{"off", "closed", "merged", "unmerged"} {
		checkCase(t, results, when, map[string]string{"open": ""})
	}
	checkCase(t, results, "handed", map[string]string{"over": ""})
	checkCase(t, results, "handed-all", map[string]string{"over": "confext,sysext,"})
	t.Run("first", func(t *testing.T) {
		r := n.report(t, "first", want)
		if !r.Boot.TrustedBoot || r.Trust.Policy != "signed" || len(r.Trust.Anchors) != 2+len(byKernel)+2 {
			t.Errorf("the trust: %+v, %+v", r.Boot, r.Trust)
		}
		for _, a := range r.Trust.Anchors {
			if !strings.HasPrefix(a.Origin, "firmware ") {
				t.Errorf("an anchor from %s", a.Origin)
			}
		}
		n.merged(t, "first", extension.Sysext(), all...)
		n.merged(t, "first", extension.Confext(), "settings")
		checkedBy(t, r, append([]string{"settings"}, byKernel...), bySystemd)
		for _, name := range all {
			checkContent(t, results, "first", name, "readable")
		}
		for _, name := range bad {
			checkContent(t, results, "first", name, "none")
		}
		if got := bytes.Count(n.a.file(t, "first-verity"), []byte("root_hash_sig_key_desc")); got != len(byKernel)+1 {
			t.Errorf("the kernel has checked %d signatures:\n%s", got, n.a.files["first-verity"])
		}
		checkCase(t, results, "planted", map[string]string{"seen": "", "sysext": "rsa2048", "confext": "settings"})
	})
	t.Run("changed after the merge", func(t *testing.T) {
		checkContent(t, results, "corrupted", "p384", "unreadable")
		checkContent(t, results, "corrupted", "p256", "readable")
	})
	t.Run("later commands", func(t *testing.T) {
		checkContent(t, results, "refreshed", "foreign", "none")
		// It is merged by its signature still, and gives out no wrong bytes.
		checkContent(t, results, "refreshed", "p384", "unreadable")
		checkContent(t, results, "refreshed", "p256", "readable")
		if got := strings.TrimSpace(string(n.a.file(t, "enable.status"))); got != "3" {
			t.Errorf("enabling what boot refuses: status %s\n%s", got, n.a.files["enable.err"])
		}
	})
	t.Run("require_signatures", func(t *testing.T) {
		strict := maps.Clone(want)
		maps.DeleteFunc(strict, func(key string, _ fate) bool { return key[0] == '/' })
		for _, name := range bySystemd {
			strict["sysext "+name] = fate{boot.LeftOut, "active", "the kernel alone is to check signatures"}
		}
		checkedBy(t, n.report(t, "strict", strict), byKernel, nil)
		n.merged(t, "strict", extension.Sysext(), byKernel...)
		for _, name := range byKernel {
			checkContent(t, results, "strict", name, "readable")
		}
		checkContent(t, results, "forced", "p256", "none")
		checkContent(t, results, "forced", "pk", "none")
	})
	t.Run("no firmware to be seen", func(t *testing.T) {
		r := decode[boot.Report](t, n.a, "hidden-report")
		if !r.Boot.TrustedBoot || r.Trust.Policy != "signed" || len(r.Trust.Anchors) != 0 || len(r.Trust.Problems) == 0 {
			t.Errorf("the trust: %+v, %+v", r.Boot, r.Trust)
		}
		for _, x := range r.Extensions {
			if x.Result == boot.Linked {
				t.Errorf("%s is linked", x.FileName)
			}
		}
		for _, name := range all {
			checkContent(t, results, "hidden", name, "none")
		}
	})
	if t.Failed() {
		t.Logf("%s", n.a.files["first-log"])
	}
}

// checkedBy checks that a report says who has checked the signatures of what is merged:
// the kernel by its own keys, or systemd by the certificates that it has found.
func checkedBy(t *testing.T, r *boot.Report, kernel, user []string) {
	t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for _, name := range kernel {
		want[name] = "kernel"
	}
	for _, name := range user {
		want[name] = "user space"
	}
	for _, x := range r.Extensions {
		if x.CheckedBy != "" {
			got[x.Name] = x.CheckedBy
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who has checked signatures (-want +got):\n%s", diff)
	}
}

// checkContent checks how the files of an extension could be read.
func checkContent(t *testing.T, results *machine.Results, when, name, want string) {
	t.Helper()
	if got := results.Case(t, when+"-"+name)["content"]; got != want {
		t.Errorf("%s: %s is %s, not %s", when, name, got, want)
	}
}

// checkCase compares what the guest reported with what is wanted.
func checkCase(t *testing.T, results *machine.Results, name string, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, results.Case(t, name)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
