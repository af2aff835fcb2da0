package efi_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/test/debian"
)

// bench is a folder that tools of a newer Debian see as /w, with the keys PK,
// KEK and db as .key, .pem and .der.
type bench struct {
	t     *testing.T
	tools *debian.Root
	work  string
	der   map[string][]byte
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t, debian.Tools(t), t.TempDir(), map[string][]byte{}}
	for _, name := range []string{"PK", "KEK", "db"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "inlay test " + name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		b.der[name] = der
		b.write(name+".der", der)
		b.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		b.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	}
	return b
}

func (b *bench) write(name string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.work, name), content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) read(name string) []byte {
	b.t.Helper()
	return readFile(b.t, filepath.Join(b.work, name))
}

// run runs a script in the folder.
func (b *bench) run(script string) string {
	b.t.Helper()
	return b.tools.Run(b.t, map[string]string{b.work: "/w"}, "sh", "-euc", "cd /w; owner="+ownerText+"\n"+script)
}

// TestToolsLists reads lists that efitools and sbsigntool write.
func TestToolsLists(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	output := b.run(`
		cert-to-efi-sig-list -g $owner db.pem efitools.esl
		sbsiglist --owner $owner --type x509 --output sbsigntool.esl db.der
		head -c 32 db.der >hash
		sbsiglist --owner $owner --type sha256 --output hash.esl hash
		cat efitools.esl hash.esl sbsigntool.esl >three.esl
		for size in 256 384 512; do
			cert-to-efi-hash-list -g $owner -t "2024-02-29 23:59:58" -s $size db.pem $size.esl >&2
		done
		cert-to-efi-hash-list -g $owner db.pem always.esl >&2
		hash-to-efi-sig-list /usr/lib/efitools/*/HelloWorld.efi program.esl`)

	db := list(t, efi.X509(), b.der["db"])
	hash := list(t, efi.SHA256(), b.der["db"][:32])
	for name, want := range map[string][]efi.List{
		"efitools.esl": {db}, "sbsigntool.esl": {db}, "hash.esl": {hash}, "three.esl": {db, hash, db},
	} {
		if diff := cmp.Diff(want, parseLists(t, b.read(name))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	when := time.Date(2024, 2, 29, 23, 59, 58, 0, time.UTC)
	for _, test := range []struct {
		name string
		hash crypto.Hash
		when time.Time
	}{
		{"256.esl", crypto.SHA256, when},
		{"384.esl", crypto.SHA384, when},
		{"512.esl", crypto.SHA512, when},
		{"always.esl", crypto.SHA256, time.Time{}},
	} {
		lists := parseLists(t, b.read(test.name))
		if len(lists) != 1 || len(lists[0].Entries) != 1 {
			t.Fatalf("%s: got %v", test.name, lists)
		}
		hash, sum, when, err := efi.Revocation(lists[0], lists[0].Entries[0])
		if err != nil || hash != test.hash || when != test.when || !bytes.Equal(sum, tbs(t, b.der["db"], test.hash)) {
			t.Errorf("%s: revokes %v %x since %v, %v", test.name, hash, sum, when, err)
		}
	}
	programs := parseLists(t, b.read("program.esl"))
	if len(programs) != 1 || programs[0].Type != efi.SHA256() || len(programs[0].Entries) != 1 {
		t.Fatalf("program.esl: got %v", programs)
	}
	if want := printedHash(output); want != hex.EncodeToString(programs[0].Entries[0].Data) {
		t.Errorf("program.esl: hash %x, want %s", programs[0].Entries[0].Data, want)
	}
}

// printedHash takes the hash from what hash-to-efi-sig-list prints.
func printedHash(output string) string {
	_, hash, _ := strings.Cut(output, "HASH IS ")
	return strings.TrimSpace(hash)
}

// TestToolsUpdates reads updates that efitools and sbsigntool write, and has
// openssl verify each signature over what UEFI says that it covers, made of
// what was read.
func TestToolsUpdates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run(`
		sbsiglist --owner $owner --type x509 --output new.esl db.der
		efitools() { sign-efi-sig-list -g $owner -k KEK.key -c KEK.pem "$@" >&2; }
		efitools -t "2024-02-29 23:59:58" db new.esl efitools
		efitools -a dbx new.esl append
		efitools db /dev/null delete
		sbvarsign --key KEK.key --cert KEK.pem --output sbsigntool db new.esl
		sbvarsign --key KEK.key --cert KEK.pem --attr NON_VOLATILE,BOOTSERVICE_ACCESS,RUNTIME_ACCESS --include-attrs --output attributes KEK new.esl`)
	const replace, appending = 0x27, 0x67
	for _, test := range []struct {
		file, name string
		vendor     guid.GUID
		attributes uint32
		data       []byte
		// sbvarsign 0.9.4-3.2+deb13u1 signs the name in 4 bytes a character, and
		// no firmware that checks takes it. Here it is the rest that counts.
		wide bool
	}{
		{"efitools", "db", efi.ImageSecurity(), replace, b.read("new.esl"), false},
		{"append", "dbx", efi.ImageSecurity(), appending, b.read("new.esl"), false},
		{"delete", "db", efi.ImageSecurity(), replace, nil, false},
		{"sbsigntool", "db", efi.ImageSecurity(), appending, b.read("new.esl"), true},
		{"attributes", "KEK", efi.GlobalVariable(), replace, b.read("new.esl"), true},
	} {
		content := b.read(test.file)
		if test.file == "attributes" {
			v, err := efi.ParseVariable(content)
			if err != nil || v.Attributes != test.attributes {
				t.Fatalf("%s: %#x, %v", test.file, v.Attributes, err)
			}
			content = v.Data
		}
		u, err := efi.ParseUpdate(content)
		if err != nil {
			t.Fatalf("%s: %v", test.file, err)
		}
		if !bytes.Equal(u.Data, test.data) || !bytes.Equal(u.Marshal(), content) {
			t.Errorf("%s: data %x", test.file, u.Data)
		}
		if want := (efi.Stamp{Year: 2024, Month: 2, Day: 29, Hour: 23, Minute: 59, Second: 58}); test.file == "efitools" && u.Time != want {
			t.Errorf("time %v, want %v", u.Time, want)
		}
		b.write("signature", contentInfo(t, u.PKCS7))
		verify := "verify() { openssl cms -verify -binary -inform der -in signature -content $1 -CAfile KEK.pem -purpose any -out /dev/null; }\nverify content"
		b.write("content", u.Content(test.name, test.vendor, test.attributes))
		if test.wide {
			b.write("wide", wideContent(test.name, test.vendor, test.attributes, u))
			verify += " || verify wide"
		}
		t.Logf("verifying %q", test.file)
		b.run(verify)
	}
}

// contentInfo wraps a bare SignedData.
func contentInfo(t *testing.T, signedData []byte) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: signedData},
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// wideContent is what sbvarsign 0.9.4-3.2+deb13u1 signs: a character of the name
// takes 4 bytes instead of 2.
func wideContent(name string, vendor guid.GUID, attributes uint32, u efi.Update) []byte {
	var b []byte
	for _, c := range []byte(name) {
		b = append(b, c, 0, 0, 0)
	}
	return append(b, u.Content("", vendor, attributes)...)
}
