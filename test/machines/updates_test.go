//go:build machines

package machines_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
	"inlay/test/machine"
)

// update is a write to one of the firmware's variables.
type update struct {
	name, variable string
	lists          []efi.List
	by             string
	options        secureboot.UpdateOptions
	// as are the attributes that it is written with, if not those it was signed for.
	as uint32
	// taken says that firmware obeys.
	taken bool
}

// TestFirmwareTakesOurUpdates has real firmware check the signatures of updates,
// under Secure Boot: it obeys what the right key signed for this variable, this
// way of writing and a later time, and nothing else. What dbx got then keeps the
// machine from booting again.
func TestFirmwareTakesOurUpdates(t *testing.T) {
	t.Parallel()
	b, a, p := newBoard(t), newAnswers(t), newPayload(t)
	stranger := b.list(efi.X509(), b.certificate("foreign").Raw)
	owner, err := guid.Parse(machine.Owner)
	if err != nil {
		t.Fatal(err)
	}
	revoke := func(byHash bool, names ...string) []efi.List {
		var certs []*x509.Certificate
		for _, name := range names {
			certs = append(certs, b.certificate(name))
		}
		lists, err := secureboot.RevokeLists(certs, [][32]byte{{1}}, secureboot.RevokeOptions{Owner: owner, ByHash: byHash})
		if err != nil {
			t.Fatal(err)
		}
		return lists
	}
	later, earlier := time.Now().Add(time.Hour), time.Now().AddDate(-20, 0, 0)
	kek := append(b.lists()["KEK"], stranger)
	appending := secureboot.UpdateOptions{Append: true}
	updates := []update{
		{name: "by-a-stranger", variable: "db", lists: []efi.List{stranger}, by: "foreign", options: appending},
		{name: "by-a-signer", variable: "db", lists: []efi.List{stranger}, by: "db", options: appending},
		{name: "of-another-kind", variable: "db", lists: []efi.List{stranger}, by: "KEK", options: appending, as: efi.KeyAttributes},
		{name: "of-another-time", variable: "KEK", lists: kek, by: "PK", options: secureboot.UpdateOptions{Time: earlier}},
		{name: "of-KEK-by-KEK", variable: "KEK", lists: kek, by: "KEK", options: secureboot.UpdateOptions{Time: later}},
		{name: "db", variable: "db", lists: []efi.List{stranger}, by: "KEK", options: appending, taken: true},
		{name: "KEK", variable: "KEK", lists: kek, by: "PK", options: secureboot.UpdateOptions{Time: later}, taken: true},
		{name: "KEK-again", variable: "KEK", lists: kek, by: "PK", options: secureboot.UpdateOptions{Time: later}},
		{name: "dbx-hash", variable: "dbx", lists: revoke(true, "db"), by: "KEK", options: appending, taken: true},
		{name: "dbx", variable: "dbx", lists: revoke(false, "boot"), by: "KEK", options: appending, taken: true},
	}
	p.script.WriteString(verifyScript)
	p.run("firmware")
	want := map[string]string{}
	for _, u := range updates {
		writeFile(t, filepath.Join(p.folder, u.name), u.file(t, b))
		p.run("update", variableFile(u.variable), u.name, "&& taken=yes || taken=no; result", u.name, "taken=$taken")
		want[u.name] = map[bool]string{true: "yes", false: "no"}[u.taken]
	}
	p.run("keep after", variableFiles("db", "KEK", "dbx", "SecureBoot", "SetupMode"))
	p.run("answer")

	firmware := b.firmware(false)
	firmware.Keep = true
	m := machine.Machine{Root: machine.RootImage(t), Disks: []machine.Disk{p.disk(), a.disk}, Firmware: firmware}
	results := machine.Run(t, m)
	a.read()
	a.state(t, "after", true, false)
	for name, want := range want {
		if got := results.Case(t, name)["taken"]; got != want {
			t.Errorf("%s: taken %q, want %q", name, got, want)
		}
	}
	lists := b.lists()
	for name, want := range map[string][]efi.List{
		"db":  append(lists["db"], stranger),
		"KEK": kek,
		// The program was in it already, when boot's certificate came.
		"dbx": append(append(lists["dbx"], revoke(true, "db")...), revoke(false, "boot")[0]),
	} {
		if diff := cmp.Diff(want, a.lists(t, "after", name)); diff != "" {
			t.Errorf("%s (-want +read):\n%s", name, diff)
		}
	}

	running := machine.Start(t, m)
	running.Wait(t, func(line string) bool { return containsAll(line, "failed to load", "Access Denied") })
	running.Stop()
}

// file returns the update as it is written into efivarfs.
func (u update) file(t *testing.T, b *board) string {
	t.Helper()
	pair, err := keys.Load(b.keys[u.by].key, b.keys[u.by].certificate)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := secureboot.NewUpdate(u.variable, u.lists, pair, u.options)
	if err != nil {
		t.Fatal(err)
	}
	attributes := u.as
	if attributes == 0 {
		attributes = efi.KeyAttributes
		if u.options.Append {
			attributes |= efi.AppendWrite
		}
	}
	return string(efi.Variable{Attributes: attributes, Data: signed.Marshal()}.Marshal())
}

// TestFirmwareRefusesWhatIsRevoked boots what db allows and dbx forbids, in each of
// the forms that a revocation has. That other revocations keep nothing from booting,
// the test above shows.
func TestFirmwareRefusesWhatIsRevoked(t *testing.T) {
	t.Parallel()
	platform := newKeyPair(t, "platform", "rsa2048")
	pair, err := keys.Load(platform.key, platform.certificate)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	uki := machine.UKI{Key: platform.key, Certificate: platform.certificate}.Build(t)
	if err := os.Link(uki, filepath.Join(folder, "uki.efi")); err != nil {
		t.Fatal(err)
	}
	programs, err := secureboot.DigestPrograms(os.DirFS(folder))
	if err != nil || len(programs) != 1 {
		t.Fatalf("%v, %v", programs, err)
	}
	for name, revoked := range map[string]struct {
		certs    []*x509.Certificate
		programs [][32]byte
		byHash   bool
	}{
		"certificate":         {certs: []*x509.Certificate{pair.Certificate}},
		"hash of certificate": {certs: []*x509.Certificate{pair.Certificate}, byHash: true},
		"program":             {programs: [][32]byte{programs[0].Digest}},
	} {
		t.Run(name, func(t *testing.T) {
			lists, err := secureboot.RevokeLists(revoked.certs, revoked.programs, secureboot.RevokeOptions{ByHash: revoked.byHash})
			if err != nil {
				t.Fatal(err)
			}
			trust := machine.Trust{
				PK: platform.certificate, KEK: platform.certificate, DB: []string{platform.certificate}, DBX: lists,
			}
			running := machine.Start(t, machine.Machine{
				Root:     machine.RootImage(t),
				Firmware: &machine.Firmware{Variables: trust.Variables(t), ESP: machine.BootDisk(t, uki)},
			})
			running.Wait(t, func(line string) bool { return containsAll(line, "failed to load", "Access Denied") })
			running.Stop()
		})
	}
}
