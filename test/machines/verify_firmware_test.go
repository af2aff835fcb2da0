//go:build machines

package machines_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/test/machine"
)

// firmwareCase is an image that a machine's kernel and "inlay verify --firmware"
// are both asked about.
type firmwareCase struct {
	name    string
	build   builder
	signer  string // its name on the board; "" of none
	damaged bool   // a byte of a file is another
	inlay   verdict
	kernel  map[string]string // as the function attempt reports
}

// firmwareCases: PK and KEK vouch for Kairos, and for the kernel only db does.
// Debian's kernel (6.12) is built without the keyring of revoked keys: dbx stops
// no signature over a root hash there, and inlay is all that does.
func firmwareCases() []firmwareCase {
	no := outcome{}.values()
	yes := outcome{merged: true, byKernel: true}.values()
	// The kernel finds out when the file is read, long after the merge.
	late := maps.Clone(yes)
	late["content"] = "unreadable"
	return []firmwareCase{
		{name: "db", build: withInlay, signer: "db", inlay: good("db"), kernel: yes},
		{name: "db-repart", build: withRepart, signer: "db-p384", inlay: good("db"), kernel: yes},
		{name: "kek", build: withInlay, signer: "KEK", inlay: good("KEK"), kernel: no},
		{name: "pk", build: withInlay, signer: "PK", inlay: good("PK"), kernel: no},
		{name: "foreign", build: withInlay, signer: "foreign", inlay: refused("signature", "none of the 5 trusted keys"), kernel: no},
		{name: "unsigned", build: withInlay, inlay: refused("signature", "not signed"), kernel: no},
		{name: "revoked", build: withInlay, signer: "revoked", inlay: refused("signature", "dbx revokes it").by("db", false), kernel: yes},
		{name: "revoked-hash", build: withInlay, signer: "revoked-hash", inlay: refused("signature", "dbx revokes it").by("db", false), kernel: yes},
		{name: "damaged", build: withInlay, signer: "db", damaged: true, inlay: refused("tree", "block").by("db", true), kernel: late},
	}
}

// TestVerifyByFirmware holds "inlay verify --firmware" against the variables of
// real firmware, and its verdicts against what the kernel does by the same keys.
func TestVerifyByFirmware(t *testing.T) {
	t.Parallel()
	b, a, p := newBoard(t), newAnswers(t), newPayload(t)
	p.addInlay()
	images := map[string]string{}
	for _, c := range firmwareCases() {
		images[c.name] = p.addImage(c, b.keys[c.signer])
	}
	p.run("export SYSTEMD_ALLOW_USERSPACE_VERITY=0")
	p.run("trust")
	p.run("verdict unmounted", images["db"])
	p.run("firmware")
	p.run("keep before", variableFiles("PK", "KEK", "db", "dbx", "SecureBoot", "SetupMode"))
	for _, c := range firmwareCases() {
		p.run("verdict", c.name, images[c.name])
		p.run("attempt", c.name, images[c.name])
	}
	// In the end the owner takes PK away. From then on root may write to db.
	p.addUpdates(b)
	p.run("update", variableFile("PK"), "delete")
	p.run("update", variableFile("db"), "append")
	p.run("keep after", variableFiles("db", "SecureBoot", "SetupMode"))
	p.run("verdict setup-mode", images["db"])
	p.run("verdict setup-mode-foreign", images["foreign"])
	p.run("answer")

	results := machine.Run(t, machine.Machine{
		Root: machine.RootImage(t), Disks: []machine.Disk{p.disk(), a.disk}, Firmware: b.firmware(false),
	})
	a.read()
	t.Run("variables", func(t *testing.T) {
		a.state(t, "before", true, false)
		for name, want := range b.lists() {
			if diff := cmp.Diff(want, a.lists(t, "before", name)); diff != "" {
				t.Errorf("%s (-enrolled +read):\n%s", name, diff)
			}
		}
	})
	for _, c := range firmwareCases() {
		t.Run(c.name, func(t *testing.T) {
			r := a.verdict(t, c.name, c.inlay)
			if diff := cmp.Diff(b.anchors(), r.Trusted); diff != "" {
				t.Errorf("trusted (-enrolled, less revoked, +listed):\n%s", diff)
			}
			checkProblems(t, r, "CN=inlay test revoked is not trusted", "CN=inlay test revoked-hash is not trusted")
			if diff := cmp.Diff(c.kernel, results.Case(t, c.name)); diff != "" {
				t.Errorf("the kernel (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("unmounted", func(t *testing.T) {
		checkUntrusted(t, a.verdict(t, "unmounted", refused("signature", "no key is trusted here")), "efivarfs is not mounted")
	})
	t.Run("setup mode", func(t *testing.T) {
		a.state(t, "after", true, true)
		stranger := b.list(efi.X509(), b.certificate("foreign").Raw)
		if diff := cmp.Diff(append(b.lists()["db"], stranger), a.lists(t, "after", "db")); diff != "" {
			t.Errorf("db (-want +read):\n%s", diff)
		}
		for _, name := range []string{"setup-mode", "setup-mode-foreign"} {
			checkUntrusted(t, a.verdict(t, name, refused("signature", "no key is trusted here")), "setup mode")
		}
	})
}

// TestVerifyWithoutSecureBoot: with Secure Boot off the same keys are in the same
// places, and nothing kept anybody from putting others there.
func TestVerifyWithoutSecureBoot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, problem string
		uefi          bool
	}{
		{name: "Secure Boot off", problem: "secure boot is off", uefi: true},
		{name: "no UEFI", problem: "no UEFI here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, a, p := newBoard(t), newAnswers(t), newPayload(t)
			p.addInlay()
			image := p.addImage(firmwareCase{name: "db", build: withInlay}, b.keys["db"])
			m := machine.Machine{Root: machine.RootImage(t)}
			if c.uefi {
				m.Firmware = b.firmware(true)
				p.run("firmware")
				p.run("keep before", variableFiles("PK", "KEK", "db", "SecureBoot", "SetupMode"))
			}
			p.run("verdict db", image)
			p.run("answer")
			m.Disks = []machine.Disk{p.disk(), a.disk}
			machine.Run(t, m)
			a.read()
			if c.uefi {
				a.state(t, "before", false, false)
				for _, name := range []string{"PK", "KEK", "db"} {
					if diff := cmp.Diff(b.lists()[name], a.lists(t, "before", name)); diff != "" {
						t.Errorf("%s (-enrolled +read):\n%s", name, diff)
					}
				}
			}
			checkUntrusted(t, a.verdict(t, "db", refused("signature", "no key is trusted here")), c.problem)
		})
	}
}

// checkUntrusted checks that nobody is trusted, for one reason.
func checkUntrusted(t *testing.T, r report, problem string) {
	t.Helper()
	if len(r.Trusted) > 0 {
		t.Errorf("trusted: %v", r.Trusted)
	}
	checkProblems(t, r, problem)
}

// checkProblems checks that each problem contains its text.
func checkProblems(t *testing.T, r report, texts ...string) {
	t.Helper()
	ok := len(r.Problems) == len(texts)
	for i, problem := range r.Problems {
		ok = ok && strings.Contains(problem.Text, texts[i])
	}
	if !ok {
		t.Errorf("problems: %+v, want %q", r.Problems, texts)
	}
}

// addImage puts an image into the payload, in a folder of its own: it must keep
// the name that its release file goes by.
func (p *payload) addImage(c firmwareCase, signer keyPair) string {
	p.t.Helper()
	image := buildImage(p.t, c.name, c.build, signer)
	if c.damaged {
		damage(p.t, image, "data of the extension for "+c.name)
	}
	if err := os.Mkdir(filepath.Join(p.folder, c.name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	name := filepath.Join(c.name, filepath.Base(image))
	p.add(name, image)
	return name
}

// damage changes one byte of the file in the image that repeats text.
func damage(t *testing.T, image, text string) {
	t.Helper()
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	first, last := bytes.Index(content, []byte(text)), bytes.LastIndex(content, []byte(text))
	if first < 0 {
		t.Fatalf("%q is not in the image as it is", text)
	}
	// The last page of a file may hold the next file's inode.
	content[(first+last)/2] ^= 1
	if err := os.WriteFile(image, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// addInlay puts the program and what the script needs for it into the payload.
func (p *payload) addInlay() {
	p.t.Helper()
	p.add("inlay", inlay(p.t))
	if err := os.Chmod(filepath.Join(p.folder, "inlay"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.script.WriteString(verifyScript)
}
