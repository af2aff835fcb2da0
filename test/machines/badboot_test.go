//go:build machines

package machines_test

import (
	_ "embed" // badboot.sh
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/boot"
	"inlay/test/machine"
	"inlay/test/need"
)

//go:embed badboot.sh
var badBootScript string

// TestBadBoot enables an extension with which no boot is good, and replaces a good one
// by such a one. A machine starts seven times with the same disk: three boots go bad,
// of which one is cut off; then both are left out, and what was good stays.
func TestBadBoot(t *testing.T) {
	t.Parallel()
	signer := newKeyPair(t, "signer", "p256")
	n := newScriptNode(t, signer)
	version := func(version, check string) map[string]string {
		return map[string]string{"usr/share/inlay-test/app/version": version + "\n", "usr/lib/inlay-test/checks/app": check + "\n"}
	}
	for folder, extensions := range map[string][]bootExtension{
		"first": {
			{name: "app", files: version("1", "exit 0")},
			{name: "neighbour", files: map[string]string{"usr/lib/inlay-test/checks/neighbour": "exit 0\n"}},
			{name: "broken", files: map[string]string{"usr/lib/inlay-test/checks/broken": "exit 1\n"}},
		},
		"second": {{name: "app", files: version("2", "exit 1")}},
		"third":  {{name: "app", files: version("3", "exit 0")}},
	} {
		for _, e := range extensions {
			e.signer = signer
			writeFile(t, filepath.Join(n.folder, folder, e.name+".sysext.raw"), readFile(t, e.make(t)))
		}
	}
	n.payload.run(badBootScript)
	n.payload.run("boots")
	results := machine.Run(t, machine.Machine{
		Root: machine.RootImage(t), Reboots: true, Arguments: []string{"COS_ACTIVE", "ro"},
		Disks: []machine.Disk{n.disk(), n.a.disk, stateDisk(t)},
	})
	n.a.read()

	for number, want := range map[string]map[string]string{
		"1": {"verdict": "good", "seen": "app,neighbour,", "app": "1"},
		"2": {"verdict": "bad", "seen": "app,broken,neighbour,", "app": "2"},
		"3": {"verdict": "none", "seen": "app,broken,neighbour,"},
		"4": {"verdict": "bad", "seen": "app,broken,neighbour,", "app": "2"},
		"5": {"verdict": "good", "seen": "app,neighbour,", "app": "1"},
		"6": {"verdict": "good", "seen": "app,neighbour,", "app": "1"},
		"7": {"verdict": "bad", "seen": "app,broken,neighbour,", "app": "3"},
	} {
		t.Run("boot "+number, func(t *testing.T) {
			if diff := cmp.Diff(want, results.Case(t, number)); diff != "" {
				t.Errorf("-want +got:\n%s\n%s", diff, n.a.files[number+"-log"])
			}
		})
	}

	const why = "3 boots with it were not marked good"
	linked := func(reason string) fate { return fate{boot.Linked, "active", reason} }
	left := func(r *boot.Report, name string) int {
		for _, x := range r.Extensions {
			if x.Name == name && x.Trial != nil {
				return x.Trial.Left
			}
		}
		return -1
	}
	tried := map[string]fate{"sysext app": linked(""), "sysext broken": linked(""), "sysext neighbour": linked("")}
	for number, want := range map[string]int{"2": 2, "4": 0, "7": 2} {
		r := n.report(t, number, tried)
		if a, b, c := left(r, "app"), left(r, "broken"), left(r, "neighbour"); a != want || b != want || c != -1 {
			t.Errorf("boot %s: the app has %d boots left, broken %d, and neighbour %d", number, a, b, c)
		}
	}
	for _, number := range []string{"5", "6"} {
		n.report(t, number, map[string]fate{
			"sysext app": linked(why), "sysext broken": {boot.LeftOut, "active", why}, "sysext neighbour": linked(""),
		})
		for _, said := range []string{"-text", "-broken"} {
			if text := string(n.a.file(t, number+said)); !strings.Contains(text, why) {
				t.Errorf("boot %s: %s doesn't say %q:\n%s", number, said[1:], why, text)
			}
		}
	}
}

// stateDisk is one for the state of a node, empty. It has a journal, as the disks of
// machines have that nobody shuts down.
func stateDisk(t *testing.T) machine.Disk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	out, err := exec.CommandContext(t.Context(), need.Tool(t, "mkfs.ext4", "e2fsprogs"), "-q", "-F", "-E", "nodiscard", path, "96M").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return machine.Disk{Path: path, Serial: "state"}
}

// newScriptNode is a node without an init: a script does what one would. It has inlay,
// trusts a signer, and keeps what is found.
func newScriptNode(t *testing.T, signer keyPair) *bootNode {
	t.Helper()
	p := newPayload(t)
	n := &bootNode{payload: p, root: filepath.Join(p.folder, "root"), a: newAnswers(t)}
	p.program("inlay", inlay(t))
	p.add("signer.pem", signer.certificate)
	p.script.WriteString(verifyScript)
	p.script.WriteString(bootScript)
	return n
}

// program copies a program of the host into the payload.
func (p *payload) program(name, path string) {
	p.t.Helper()
	p.add(name, path)
	if err := os.Chmod(filepath.Join(p.folder, name), 0o755); err != nil {
		p.t.Fatal(err)
	}
}
