package secureboot_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
	"inlay/test/debian"
	"inlay/test/need"
)

// toolbox is a folder that tools of a newer Debian see as /w.
type toolbox struct {
	t    *testing.T
	root *debian.Root
	dir  string
}

func newToolbox(t *testing.T) *toolbox {
	t.Helper()
	return &toolbox{t, debian.Tools(t), t.TempDir()}
}

// pair writes NAME.key, NAME.pem and NAME.der.
func (b *toolbox) pair(name string, pair keys.Pair) {
	b.t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(pair.Signer)
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	b.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate.Raw}))
	b.write(name+".der", pair.Certificate.Raw)
}

func (b *toolbox) write(name string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *toolbox) read(name string) []byte {
	b.t.Helper()
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		b.t.Fatal(err)
	}
	return content
}

func (b *toolbox) run(script string) string {
	b.t.Helper()
	return b.root.Run(b.t, map[string]string{b.dir: "/w"}, "sh", "-euc", "cd /w; owner="+owner(b.t).String()+"\n"+script)
}

// TestUpdatesAreEfitools compares updates with those that sign-efi-sig-list makes
// of the same input, byte for byte, and verifies the latter. sbvarsign 0.9.4 signs
// attributes, which UEFI does not allow, and the name of the variable in 4 bytes a
// character: no firmware that checks takes it.
func TestUpdatesAreEfitools(t *testing.T) {
	t.Parallel()
	b := newToolbox(t)
	kek, db := makePair(t, "KEK"), makePair(t, "db")
	b.pair("KEK", kek)
	b.pair("db", db)
	b.run(`
		cert-to-efi-sig-list -g $owner db.pem db.esl
		cert-to-efi-hash-list -g $owner db.pem hash.esl
		sign() { sign-efi-sig-list -g $owner -k KEK.key -c KEK.pem -t "2024-02-29 23:59:58" "$@" >&2; }
		sign db db.esl replace.auth
		sign -a dbx db.esl append.auth
		sign -a dbx hash.esl hash.auth
		sign db /dev/null delete.auth
		sbvarsign --key KEK.key --cert KEK.pem --attr NON_VOLATILE,BOOTSERVICE_ACCESS,RUNTIME_ACCESS,TIME_BASED_AUTHENTICATED_WRITE_ACCESS --output sbvarsign.auth db db.esl`)
	revoke := func(o secureboot.RevokeOptions) []efi.List {
		lists, err := secureboot.RevokeLists([]*x509.Certificate{db.Certificate}, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		return lists
	}
	for file, test := range map[string]struct {
		variable  string
		lists     []efi.List
		appending bool
	}{
		"replace.auth": {"db", listOf(t, db.Certificate), false},
		"append.auth":  {"dbx", revoke(secureboot.RevokeOptions{Owner: owner(t)}), true},
		"hash.auth":    {"dbx", revoke(secureboot.RevokeOptions{Owner: owner(t), ByHash: true}), true},
		"delete.auth":  {"db", nil, false},
	} {
		ours, err := secureboot.NewUpdate(test.variable, test.lists, kek, secureboot.UpdateOptions{Time: when(), Append: test.appending})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b.read(file), ours.Marshal()); diff != "" {
			t.Errorf("%s (-theirs +ours):\n%s", file, diff)
		}
		theirs, err := efi.ParseUpdate(b.read(file))
		if err != nil {
			t.Fatal(err)
		}
		if cert, err := secureboot.VerifyUpdate(test.variable, theirs, test.appending, db.Certificate, kek.Certificate); err != nil || !cert.Equal(kek.Certificate) {
			t.Errorf("%s: %v, %v", file, cert, err)
		}
	}
	u, err := efi.ParseUpdate(b.read("sbvarsign.auth"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(u.Data, b.read("db.esl")) {
		t.Errorf("sbvarsign: data %x", u.Data)
	}
	if _, err := secureboot.VerifyUpdate("db", u, false, kek.Certificate); err == nil || !strings.Contains(err.Error(), "signed attributes") {
		t.Errorf("sbvarsign: %v", err)
	}
}

// TestOpenSSLVerifiesOurUpdates puts a ContentInfo around the signature, which
// openssl asks for.
func TestOpenSSLVerifiesOurUpdates(t *testing.T) {
	t.Parallel()
	openssl := need.Tool(t, "openssl", "openssl")
	kek, dir := makePair(t, "KEK"), t.TempDir()
	u, err := secureboot.NewUpdate("dbx", listOf(t, kek.Certificate), kek, secureboot.UpdateOptions{Append: true})
	if err != nil {
		t.Fatal(err)
	}
	signature, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: u.PKCS7},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"signature": signature,
		"cert":      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: kek.Certificate.Raw}),
		"good":      u.Content("dbx", efi.ImageSecurity(), 0x67),
		"bad":       u.Content("dbx", efi.ImageSecurity(), 0x27),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(content string) error {
		command := exec.CommandContext(t.Context(), openssl, "smime", "-verify", "-binary", "-inform", "der", "-in", "signature",
			"-content", content, "-certfile", "cert", "-nointern", "-noverify", "-out", os.DevNull)
		command.Dir = dir
		return command.Run()
	}
	if err := verify("good"); err != nil {
		t.Errorf("openssl refuses: %v", err)
	}
	if err := verify("bad"); err == nil {
		t.Error("openssl accepts other attributes, so this test shows nothing")
	}
}
