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

	"inlay/internal/extension"
	"inlay/test/debian"
	"inlay/test/machine"
)

//go:embed bootless.sh
var bootlessScript string

// TestBootWithoutSystemd boots systems that have another init, each with the scripts
// that inlay places for it: one with busybox and nothing else, and Debian's with
// sysvinit and with OpenRC. inlay's own engine merges what is signed through
// device-mapper, and nothing of what isn't right.
func TestBootWithoutSystemd(t *testing.T) {
	t.Parallel()
	store := newMixedStore(t)
	for _, c := range []struct {
		hook, program, service string
		system                 func(testing.TB) *debian.Root
	}{
		{hook: "busybox", program: "/bin/busybox", service: "S05inlay-boot"},
		{hook: "sysvinit", program: "/usr/sbin/init", service: "inlay-boot", system: debian.Sysvinit},
		{hook: "openrc", program: "/usr/sbin/init", service: "inlay-boot", system: debian.OpenRC},
	} {
		t.Run(c.hook, func(t *testing.T) {
			var n *bootNode
			var m machine.Machine
			if c.system == nil {
				n = newBareNode(t)
				runInlay(t, "boot", "install", "--root", n.root, "--for", c.hook)
			} else {
				n = newBootNode(t, "--for", c.hook)
				n.byInittab(c.system(t))
				// What install says is left to do where insserv orders the scripts.
				writeFile(t, filepath.Join(n.folder, "prepare.sh"), "[ ! -e /etc/init.d/.depend.boot ] || for service in inlay-boot inlay-boot-good; do update-rc.d $service defaults; done\n")
			}
			store.into(n)
			all := strings.Join(slices.Concat(store.good, store.bad), " ")
			n.payload.run(bootlessScript)
			n.payload.run("told up-report inlay boot report --json; told up-status inlay sysext status --json; told state cat /var/lib/kairos/extensions/.inlay/boot.json")
			n.payload.run("merged up; readable up", all)
			hello := filepath.Join(n.root, extension.Sysext().Store, "hello.sysext.raw")
			data := []byte(readFile(t, hello))
			text := []byte("data of the extension hello")
			n.payload.run(fmt.Sprintf("spoilt /var/lib/kairos/extensions/hello.sysext.raw %d; readable spoilt hello other",
				(bytes.Index(data, text)+bytes.LastIndex(data, text))/2))
			n.payload.run("/etc/init.d/"+c.service, "stop; merged down; readable down hello other; answer")
			m.Disks = []machine.Disk{n.disk(), n.a.disk}
			if c.system == nil {
				m.Root, m.Arguments = machine.BusyboxImage(t, n.root), []string{"init=" + machine.BusyboxInit}
			} else {
				m.Root = machine.ImageOf(t, c.system(t))
			}
			results := machine.Run(t, m)
			n.a.read()
			store.check(t, n, results, c.hook, c.program)
		})
	}
}

// check looks at what such a machine has made of the store.
func (s *mixedStore) check(t *testing.T, n *bootNode, results *machine.Results, hook, program string) {
	t.Helper()
	r := n.report(t, "up", s.want)
	if r.Hook != hook || r.Trust.Policy != "signed" {
		t.Errorf("the report: hook %q, %+v", r.Hook, r.Trust)
	}
	for _, m := range r.Merges {
		if m.Engine != "native" || !m.Done || m.Error != "" {
			t.Errorf("the merge: %+v", m)
		}
	}
	up := map[string]string{"systemd": "", "init": program, "overlays": "1", "verity": "4", "etc": "settings"}
	if diff := cmp.Diff(up, results.Case(t, "up")); diff != "" {
		t.Errorf("the kernel's view (-want +got):\n%s", diff)
	}
	left := "0"
	if hook != "busybox" {
		left = "3" // the script's own shell was started from the merged /usr, and holds it
	}
	if diff := cmp.Diff(with(up, "overlays", "0", "verity", left, "etc", ""), results.Case(t, "down")); diff != "" {
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
	if diff := cmp.Diff(s.good, merged); diff != "" {
		t.Errorf("merged as inlay says (-want +got):\n%s", diff)
	}
	for _, name := range s.good {
		checkContent(t, results, "up", name, "readable")
	}
	for _, name := range s.bad {
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

// byInittab has the init of a system boot that is told what to do by inittab, and the
// script run once all services of its runlevel are there.
func (n *bootNode) byInittab(system *debian.Root) {
	n.t.Helper()
	n.by("/sbin/init")
	var table strings.Builder
	for line := range strings.Lines(readFile(n.t, filepath.Join(system.Folder(), "etc/inittab"))) {
		if !strings.Contains(line, "getty") { // nobody logs in
			table.WriteString(line)
		}
	}
	n.file("etc/inittab", table.String()+"test:2:once:"+machine.Init+"\n")
}
