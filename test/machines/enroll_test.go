//go:build machines

package machines_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/test/machine"
)

// TestEnrollInTheMachine has "inlay keys enroll" write to real firmware: a set,
// in setup mode and only there; then what "inlay keys revoke" made, after which
// the machine refuses its own kernel image.
func TestEnrollInTheMachine(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	set, other := filepath.Join(work, "set"), filepath.Join(work, "other")
	runInlay(t, "keys", "create", "enrolled", "--output", set)
	runInlay(t, "keys", "create", "stranger", "--output", other)
	db := filepath.Join(set, "db.pem")
	runInlay(t, "keys", "revoke", db, "-k", set, "--output", filepath.Join(work, "revoked"))
	runInlay(t, "keys", "revoke", db, "-k", other, "--output", filepath.Join(work, "strange"))
	firmware := &machine.Firmware{
		Variables: machine.NewBoard(t), Keep: true,
		ESP: machine.BootDisk(t, machine.UKI{Key: filepath.Join(set, "db.key"), Certificate: db}.Build(t)),
	}
	start := func(want map[string]string, script func(p *payload)) *answers {
		t.Helper()
		a, p := newAnswers(t), newPayload(t)
		p.addInlay()
		p.script.WriteString(verifyScript)
		// What enrols needs no private key.
		for _, folder := range []string{"set", "other"} {
			if err := os.Mkdir(filepath.Join(p.folder, folder), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"PK", "KEK", "db"} {
				for _, suffix := range []string{".pem", ".auth"} {
					p.add(filepath.Join(folder, name+suffix), filepath.Join(work, folder, name+suffix))
				}
			}
		}
		p.add("dbx.auth", filepath.Join(work, "revoked", "dbx.auth"))
		p.add("strange.auth", filepath.Join(work, "strange", "dbx.auth"))
		p.run("firmware")
		p.run(`try() { name=$1; shift; /payload/inlay keys enroll "$@"; result "$name" "status=$?"; }`)
		script(p)
		p.run("keep after", variableFiles("PK", "KEK", "db", "SecureBoot", "SetupMode"))
		p.run("answer")
		results := machine.Run(t, machine.Machine{Root: machine.RootImage(t), Disks: []machine.Disk{p.disk(), a.disk}, Firmware: firmware})
		for name, status := range want {
			if got := results.Case(t, name)["status"]; got != status {
				t.Errorf("%s: status %q, want %q", name, got, status)
			}
		}
		a.read()
		for _, name := range []string{"PK", "KEK", "db"} {
			if diff := cmp.Diff(listsOf(t, filepath.Join(set, name+".esl")), a.lists(t, "after", name)); diff != "" {
				t.Errorf("%s (-want +read):\n%s", name, diff)
			}
		}
		return a
	}

	a := start(map[string]string{"dry": "0", "enrolled": "0", "again": "1", "other": "1"}, func(p *payload) {
		p.run("try dry /payload/set --dry-run")
		p.run("keep before", variableFiles("SecureBoot", "SetupMode"))
		p.run("try enrolled /payload/set")
		p.run("try again /payload/set")
		p.run("try other /payload/other")
	})
	a.state(t, "before", false, true)
	if on, err := a.variable(t, "after", "SetupMode").Flag(); err != nil || on {
		t.Errorf("still in setup mode: %v, %v", on, err)
	}

	a = start(map[string]string{"strange": "1", "revoked": "0", "again": "0"}, func(p *payload) {
		p.run("keep before", variableFiles("SecureBoot", "SetupMode"))
		p.run("try strange --dbx /payload/strange.auth")
		p.run("try revoked --dbx /payload/dbx.auth")
		p.run("try again --dbx /payload/dbx.auth")
		p.run("keep revoked", variableFiles("dbx"))
	})
	a.state(t, "before", true, false)
	if diff := cmp.Diff(listsOf(t, filepath.Join(work, "revoked", "dbx.esl")), a.lists(t, "revoked", "dbx")); diff != "" {
		t.Errorf("dbx (-want +read):\n%s", diff)
	}

	running := machine.Start(t, machine.Machine{Root: machine.RootImage(t), Firmware: firmware})
	running.Wait(t, func(line string) bool { return containsAll(line, "failed to load", "Access Denied") })
	running.Stop()
}

// listsOf reads an .esl file.
func listsOf(t *testing.T, path string) []efi.List {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := efi.ParseLists(data)
	if err != nil {
		t.Fatal(err)
	}
	return lists
}
