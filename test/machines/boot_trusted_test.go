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

func newBootBoard(t *testing.T) bootBoard {
	t.Helper()
	b := bootBoard{"expired": newKeyPairUntil(t, "expired", "p256", time.Now().Add(-time.Hour))}
	for _, algorithm := range algorithms() {
		b[algorithm] = newKeyPair(t, algorithm, algorithm)
	}
	for _, name := range []string{"PK", "KEK", "boot", "revoked"} {
		b[name] = newKeyPair(t, name, "rsa2048")
	}
	return b
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

// TestTrustedBootLetsNothingElseIn boots a signed kernel image under Secure Boot, with
// a store that holds good extensions, each by another of the firmware's keys, among
// all kinds of bad ones, and with what somebody may have planted where systemd looks
// for extensions, certificates and settings.
func TestTrustedBootLetsNothingElseIn(t *testing.T) {
	t.Parallel()
	b, foreign := newBootBoard(t), newKeyPair(t, "foreign", "rsa2048")
	n := newBootNode(t, "--for", "systemd", "--trusted-boot")

	// By the kernel itself those of db, by systemd the two that its keyring lacks.
	byKernel, bySystemd := algorithms(), []string{"KEK", "PK"}
	want := map[string]fate{}
	for _, name := range slices.Concat(byKernel, bySystemd) {
		n.add(bootExtension{name: strings.ToLower(name), signer: b[name]}, "active")
		want["sysext "+strings.ToLower(name)] = fate{result: boot.Linked, from: "active"}
	}
	bad := []string{"planted", "planted-folder"}
	refuse := func(e bootExtension, reason string) {
		n.add(e, "active")
		want["sysext "+e.name] = fate{boot.Refused, "active", reason}
		bad = append(bad, e.name)
	}
	refuse(bootExtension{name: "foreign", signer: foreign}, "signed by CN=inlay test foreign")
	refuse(bootExtension{name: "unsigned"}, "not signed")
	refuse(bootExtension{name: "naked", flags: []string{"--filesystem", "squashfs"}, spoil: naked}, "without a hash tree nothing can be signed")
	refuse(bootExtension{name: "revoked", signer: b["revoked"]}, "dbx revokes it")
	refuse(bootExtension{name: "expired", signer: b["expired"]}, "expired")
	refuse(bootExtension{name: "data", signer: b["p256"], spoil: func(t *testing.T, image string) { damage(t, image, "data of the extension data") }}, "block")
	refuse(bootExtension{name: "signature", signer: b["p256"], spoil: func(t *testing.T, image string) {
		changed(t, image, func(content []byte, parts []sfdisk.Partition) int64 {
			start := parts[2].Start
			return start + int64(bytes.Index(content[start:], []byte(`"}`))) - 20
		})
	}}, "signature")
	refuse(bootExtension{name: "architecture", signer: b["p256"], flags: []string{"--arch", "arm64"}}, "arm64")
	refuse(bootExtension{name: "release", signer: b["p256"], flags: []string{"--release", "ID=other", "--release", "VERSION_ID=1"}}, "other")
	refuse(bootExtension{name: "own-trust", signer: b["p256"], files: map[string]string{"usr/lib/verity.d/own.crt": readFile(t, foreign.certificate)}}, "verity.d")

	// What is on the disk adds nobody, and no weaker policy.
	for _, folder := range []string{"etc/verity.d", "usr/local/lib/verity.d", "usr/lib/verity.d"} {
		n.file(folder+"/foreign.crt", readFile(t, foreign.certificate))
	}
	n.file("etc/inlay/config.yaml", "policy: any\ntrust:\n  valid_dates: true\n  certificates:\n    - /etc/verity.d/foreign.crt\n")
	planted := bootExtension{name: "planted", flags: []string{"--filesystem", "squashfs"}, spoil: naked}.make(t)
	n.payload.add("planted.raw", planted)
	for _, name := range []string{"planted-folder", "planted", "rsa2048"} {
		file := "/run/extensions/" + name
		if name != "planted-folder" {
			file += ".sysext.raw"
		}
		want[file] = fate{boot.Refused, "/run/extensions", "only what the boot step has judged"}
	}
	want["/run/confexts/planted-folder"] = fate{boot.Refused, "/run/confexts", "only what the boot step has judged"}

	good := strings.ToLower(strings.Join(slices.Concat(byKernel, bySystemd), " "))
	n.payload.run("firmware; mkdir -p /run/cos; touch /run/cos/active_mode")
	n.payload.run("plant rsa2048")
	n.payload.run("inlay boot --hook script; open_folders closed; by_unit sysext; by_unit confext; open_folders merged")
	n.payload.run("looked first; readable first", good, strings.Join(bad, " "))
	n.payload.run("result planted \"etc=$(ls /etc/inlay-planted)\"")
	n.payload.run("corrupted p384; readable corrupted p384 p256")
	// What another command than the boot step's would let in.
	n.payload.run("told refresh inlay sysext refresh --json; told enable inlay sysext enable --common --now foreign")
	n.payload.run("readable refreshed foreign")

	// The kernel alone decides, and knows no more than db.
	n.payload.run("systemd-sysext unmerge --no-reload; open_folders unmerged; cleared; rmmod dm_verity; modprobe dm_verity require_signatures=1")
	n.payload.run("cp /payload/root/var/lib/kairos/extensions/p384.sysext.raw /var/lib/kairos/extensions/")
	n.payload.run("inlay boot --hook strict; by_unit sysext")
	n.payload.run("looked strict; readable strict", good)

	// Somebody hides the firmware's variables: nobody is trusted, and not everybody.
	n.payload.run("systemd-sysext unmerge --no-reload; for v in", variableFiles("SecureBoot", "SetupMode", "PK", "KEK", "db", "dbx"), "; do mkdir -p /run/hidden/$v; done; mount --bind /run/hidden /sys/firmware/efi/efivars")
	n.payload.run("inlay boot --hook hidden; told hidden-report inlay boot report --json")
	n.payload.run("by_unit sysext; readable hidden", good)

	results := n.run(machine.Machine{Firmware: &machine.Firmware{
		Variables: b.variables(t),
		ESP:       machine.BootDisk(t, machine.UKI{Key: b["boot"].key, Certificate: b["boot"].certificate, Arguments: []string{"rd.immucore.uki"}}.Build(t)),
	}})

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
		var all []string
		for _, name := range slices.Concat(byKernel, bySystemd) {
			all = append(all, strings.ToLower(name))
		}
		n.merged(t, "first", extension.Sysext(), all...)
		n.merged(t, "first", extension.Confext())
		for _, name := range all {
			checkContent(t, results, "first", name, "readable")
		}
		for _, name := range bad {
			checkContent(t, results, "first", name, "none")
		}
		if got := bytes.Count(n.a.file(t, "first-verity"), []byte("root_hash_sig_key_desc")); got != len(byKernel) {
			t.Errorf("the kernel has checked %d signatures:\n%s", got, n.a.files["first-verity"])
		}
		checkCase(t, results, "planted", map[string]string{"etc": ""})
	})
	for _, when := range []string{"closed", "merged", "unmerged"} {
		checkCase(t, results, when, map[string]string{"open": ""})
	}
	t.Run("changed after the merge", func(t *testing.T) {
		checkContent(t, results, "corrupted", "p384", "unreadable")
		checkContent(t, results, "corrupted", "p256", "readable")
	})
	t.Run("later commands", func(t *testing.T) {
		checkContent(t, results, "refreshed", "foreign", "none")
		if got := strings.TrimSpace(string(n.a.file(t, "enable.status"))); got != "3" {
			t.Errorf("enabling what boot refuses: status %s\n%s", got, n.a.files["enable.err"])
		}
	})
	t.Run("require_signatures", func(t *testing.T) {
		strict := maps.Clone(want)
		maps.DeleteFunc(strict, func(key string, _ fate) bool { return key[0] == '/' })
		for _, name := range bySystemd {
			strict["sysext "+strings.ToLower(name)] = fate{boot.LeftOut, "active", "the kernel alone is to check signatures"}
		}
		n.report(t, "strict", strict)
		n.merged(t, "strict", extension.Sysext(), byKernel...)
		for _, name := range byKernel {
			checkContent(t, results, "strict", name, "readable")
		}
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
		for name := range strings.FieldsSeq(good) {
			checkContent(t, results, "hidden", name, "none")
		}
	})
	if t.Failed() {
		t.Logf("%s", n.a.files["first-log"])
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
