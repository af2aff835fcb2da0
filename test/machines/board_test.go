//go:build machines

package machines_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/test/debian"
	"inlay/test/machine"
)

// board are the keys of a machine: PK and KEK, and what db and dbx hold.
type board struct {
	t    *testing.T
	keys map[string]keyPair
}

func newBoard(t *testing.T) *board {
	t.Helper()
	b := &board{t, map[string]keyPair{"": {}}}
	for _, name := range slices.Concat([]string{"PK", "KEK", "foreign"}, boardDB()) {
		algorithm := "rsa2048"
		if _, suffix, found := strings.Cut(name, "-p"); found {
			algorithm = "p" + suffix
		}
		b.keys[name] = newKeyPair(t, name, algorithm)
	}
	return b
}

// boardDB are the signers in db, in their order. What is revoked is there too:
// otherwise nobody would have to ask dbx.
func boardDB() []string { return []string{"boot", "db", "db-p384", "revoked", "revoked-hash"} }

func (b *board) certificate(name string) *x509.Certificate {
	b.t.Helper()
	text, err := os.ReadFile(b.keys[name].certificate)
	if err != nil {
		b.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		b.t.Fatal(err)
	}
	return certificate
}

// list returns a signature list of one entry.
func (b *board) list(kind guid.GUID, data []byte) efi.List {
	b.t.Helper()
	owner, err := guid.Parse(machine.Owner)
	if err != nil {
		b.t.Fatal(err)
	}
	return efi.List{Type: kind, Entries: []efi.Entry{{Owner: owner, Data: data}}}
}

// lists returns what each variable of the board holds.
func (b *board) lists() map[string][]efi.List {
	b.t.Helper()
	x509List := func(name string) efi.List { return b.list(efi.X509(), b.certificate(name).Raw) }
	// The hash, and a time: all zero revokes what was signed at any time.
	sum := sha256.Sum256(b.certificate("revoked-hash").RawTBSCertificate)
	lists := map[string][]efi.List{
		"PK": {x509List("PK")}, "KEK": {x509List("KEK")},
		"dbx": {x509List("revoked"), b.list(efi.X509SHA256(), append(sum[:], make([]byte, 16)...))},
	}
	for _, name := range boardDB() {
		lists["db"] = append(lists["db"], x509List(name))
	}
	return lists
}

// firmware returns the board with a kernel to boot.
func (b *board) firmware(off bool) *machine.Firmware {
	b.t.Helper()
	trust := machine.Trust{
		PK: b.keys["PK"].certificate, KEK: b.keys["KEK"].certificate, DBX: b.lists()["dbx"], Off: off,
	}
	for _, name := range boardDB() {
		trust.DB = append(trust.DB, b.keys[name].certificate)
	}
	uki := machine.UKI{Key: b.keys["boot"].key, Certificate: b.keys["boot"].certificate}
	return &machine.Firmware{Variables: trust.Variables(b.t), ESP: machine.BootDisk(b.t, uki.Build(b.t))}
}

// anchors are those that "inlay verify --firmware" must list.
func (b *board) anchors() []anchor {
	b.t.Helper()
	var anchors []anchor
	for _, a := range []struct{ name, variable string }{
		{"PK", "PK"}, {"KEK", "KEK"}, {"boot", "db"}, {"db", "db"}, {"db-p384", "db"},
	} {
		cert := b.certificate(a.name)
		anchors = append(anchors, anchor{
			cert.Subject.String(), fmt.Sprintf("%x", sha256.Sum256(cert.Raw)), "firmware " + a.variable,
		})
	}
	return anchors
}

// variableFile returns the name of one of the firmware's variables in efivarfs.
func variableFile(name string) string {
	if name == "db" || name == "dbx" {
		return efi.FileName(name, efi.ImageSecurity())
	}
	return efi.FileName(name, efi.GlobalVariable())
}

// variableFiles returns the names of several, for the guest's script.
func variableFiles(names ...string) string {
	var files []string
	for _, name := range names {
		files = append(files, variableFile(name))
	}
	return strings.Join(files, " ")
}

// addUpdates puts two writes to the firmware's variables into the payload, as
// efivarfs wants them: the deletion of PK, which only who has its key can ask
// for, and a stranger's key for db.
func (p *payload) addUpdates(b *board) {
	p.t.Helper()
	work := p.t.TempDir()
	binds := map[string]string{work: "/w"}
	for _, name := range []string{"PK", "foreign"} {
		binds[b.keys[name].key], binds[b.keys[name].certificate] = "/"+name+".key", "/"+name+".pem"
	}
	debian.Tools(p.t).Run(p.t, binds, "sh", "-euc", `cd /w; owner=`+machine.Owner+`
		sign-efi-sig-list -g $owner -k /PK.key -c /PK.pem PK /dev/null delete
		cert-to-efi-sig-list -g $owner /foreign.pem foreign.esl
		sign-efi-sig-list -a -g $owner -k /foreign.key -c /foreign.pem db foreign.esl append`)
	const usual = efi.NonVolatile | efi.BootServiceAccess | efi.RuntimeAccess | efi.TimeBasedAuthWrites
	for name, attributes := range map[string]uint32{"delete": usual, "append": usual | efi.AppendWrite} {
		update, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			p.t.Fatal(err)
		}
		content := append(binary.LittleEndian.AppendUint32(nil, attributes), update...)
		writeFile(p.t, filepath.Join(p.folder, name), string(content))
	}
}
