//go:build machines

package machines_test

import (
	"bytes"
	_ "embed" // bootless.sh
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/test/machine"
	"inlay/test/sfdisk"
)

//go:embed bootless.sh
var bootlessScript string

// TestBootWithoutSystemd boots a system that has busybox and nothing else: its init
// runs the scripts that inlay has placed, and inlay's own engine merges what is signed
// through device-mapper, and nothing of what isn't right.
func TestBootWithoutSystemd(t *testing.T) {
	t.Parallel()
	signer, foreign := inlayKeyPair(t, "signer"), newKeyPair(t, "foreign", "p256")
	n := newBareNode(t)
	n.file("etc/verity.d/signer.crt", readFile(t, signer.certificate))
	runInlay(t, "boot", "install", "--root", n.root, "--for", "busybox")

	want := map[string]fate{}
	good := []string{"hello", "other", "rsa"}
	for _, name := range good {
		e := bootExtension{name: name, signer: signer}
		if name == "rsa" {
			e.signer = newKeyPair(t, "rsa", "rsa2048")
			n.file("etc/verity.d/rsa.crt", readFile(t, e.signer.certificate))
		}
		n.add(e, "common")
		want["sysext "+name] = fate{result: boot.Linked, from: "common"}
	}
	settings := bootExtension{name: "settings", signer: signer, confext: true}
	n.store(extension.Confext(), settings.make(t), "settings", "common")
	want["confext settings"] = fate{result: boot.Linked, from: "common"}

	var bad []string
	refuse := func(e bootExtension, reason string) {
		n.add(e, "common")
		want["sysext "+e.name] = fate{boot.Refused, "common", reason}
		bad = append(bad, e.name)
	}
	refuse(bootExtension{name: "foreign", signer: foreign}, "signed by CN=inlay test foreign")
	refuse(bootExtension{name: "unsigned"}, "not signed")
	refuse(bootExtension{name: "naked", flags: []string{"--filesystem", "squashfs"}, spoil: naked}, "without a hash tree nothing can be signed")
	refuse(bootExtension{name: "data", signer: signer, spoil: func(t *testing.T, image string) { damage(t, image, "data of the extension data") }}, "block")
	refuse(bootExtension{name: "signature", signer: signer, spoil: func(t *testing.T, image string) {
		changed(t, image, func(content []byte, parts []sfdisk.Partition) int64 {
			start := parts[2].Start
			return start + int64(bytes.Index(content[start:], []byte(`"}`))) - 20
		})
	}}, "signature")
	refuse(bootExtension{name: "architecture", signer: signer, flags: []string{"--arch", "arm64"}}, "arm64")
	refuse(bootExtension{name: "release", signer: signer, flags: []string{"--release", "ID=other", "--release", "VERSION_ID=1"}}, "other")

	all := strings.Join(slices.Concat(good, bad), " ")
	n.payload.run(bootlessScript)
	n.payload.run("told up-report inlay boot report --json; told up-status inlay sysext status --json; told state cat /var/lib/kairos/extensions/.inlay/boot.json")
	n.payload.run("merged up; readable up", all)
	hello := filepath.Join(n.root, extension.Sysext().Store, "hello.sysext.raw")
	data := []byte(readFile(t, hello))
	text := []byte("data of the extension hello")
	n.payload.run(fmt.Sprintf("spoilt /var/lib/kairos/extensions/hello.sysext.raw %d; readable spoilt hello other",
		(bytes.Index(data, text)+bytes.LastIndex(data, text))/2))
	n.payload.run("/etc/init.d/S05inlay-boot stop; merged down; readable down hello other; answer")
	results := machine.Run(t, machine.Machine{
		Root: machine.BusyboxImage(t, n.root), Arguments: []string{"init=" + machine.BusyboxInit},
		Disks: []machine.Disk{n.disk(), n.a.disk},
	})
	n.a.read()

	r := n.report(t, "up", want)
	if r.Hook != "busybox" || r.Trust.Policy != "signed" {
		t.Errorf("the report: hook %q, %+v", r.Hook, r.Trust)
	}
	for _, m := range r.Merges {
		if m.Engine != "native" || !m.Done || m.Error != "" {
			t.Errorf("the merge: %+v", m)
		}
	}
	up := map[string]string{"systemd": "", "init": "/bin/busybox", "overlays": "1", "verity": "4", "etc": "settings"}
	if diff := cmp.Diff(up, results.Case(t, "up")); diff != "" {
		t.Errorf("the kernel's view (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(with(up, "overlays", "0", "verity", "0", "etc", ""), results.Case(t, "down")); diff != "" {
		t.Errorf("the kernel's view after the end (-want +got):\n%s", diff)
	}
	status := decode[struct {
		Extensions []struct {
			Name   string
			Merged bool
		}
	}](t, n.a, "up-status")
	var merged []string
	for _, x := range status.Extensions {
		if x.Merged {
			merged = append(merged, x.Name)
		}
	}
	slices.Sort(merged)
	if diff := cmp.Diff(good, merged); diff != "" {
		t.Errorf("merged as inlay says (-want +got):\n%s", diff)
	}
	for _, name := range good {
		checkContent(t, results, "up", name, "readable")
	}
	for _, name := range bad {
		checkContent(t, results, "up", name, "none")
	}
	checkContent(t, results, "spoilt", "hello", "unreadable")
	checkContent(t, results, "spoilt", "other", "readable")
	checkContent(t, results, "down", "hello", "none")
	// The script that marks a boot good has run, too.
	if state := string(n.a.file(t, "state")); !strings.Contains(state, `"good"`) {
		t.Errorf("no boot is marked good: %s", state)
	}
}

// newBareNode is a node for [machine.BusyboxImage]: its root has inlay, and nothing of
// what Debian has.
func newBareNode(t *testing.T) *bootNode {
	t.Helper()
	n := &bootNode{payload: newPayload(t), root: t.TempDir(), a: newAnswers(t)}
	n.script.WriteString(verifyScript)
	n.script.WriteString(bootScript)
	n.file("usr/lib/os-release", "ID=small\nVERSION_ID=1\n")
	n.file("usr/bin/inlay", readFile(t, inlay(t)))
	if err := os.Chmod(filepath.Join(n.root, "usr/bin/inlay"), 0o755); err != nil {
		t.Fatal(err)
	}
	return n
}
