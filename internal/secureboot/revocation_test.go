package secureboot_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cms"
	"inlay/internal/efi"
	"inlay/internal/secureboot"
	"inlay/internal/trust"
)

func TestReadRevocations(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	program := programVector(t, "tiny.efi")
	esp := t.TempDir()
	write(t, program, esp, "EFI", "BOOT", "BOOTX64.EFI")
	write(t, []byte("text"), esp, "loader.conf")
	write(t, append([]byte("text before\n"), readFile(t, dir, "db.pem")...), esp, "texts", "cert.txt")
	root := strings.Repeat("ab", 32)
	items, err := secureboot.ReadRevocations(filepath.Join(dir, "db.pem"), filepath.Join(dir, "KEK.der"), filepath.Join(esp, "texts", "cert.txt"),
		filepath.Join(esp, "EFI", "BOOT", "BOOTX64.EFI"), esp, root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, item := range items {
		text := string(item.Kind)
		if item.Certificate != nil {
			text += " " + item.Certificate.Subject.String()
		}
		got = append(got, text)
	}
	want := []string{"certificate CN=acme-db", "certificate CN=acme-KEK", "certificate CN=acme-db", "program", "program", "extension"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	digest, err := secureboot.ProgramDigest(bytes.NewReader(program), int64(len(program)))
	if err != nil {
		t.Fatal(err)
	}
	if items[3].Digest != digest || items[4].Digest != digest || hex.EncodeToString(items[5].Digest[:]) != root {
		t.Error("other digests than expected")
	}
	_, err = secureboot.ReadRevocations(filepath.Join(dir, "db.key"))
	checkError(t, err, "private key", "its certificate")
	// A certificate of less than 256 bytes.
	small := certifySmall(t)
	write(t, small.Raw, dir, "small.der")
	items, err = secureboot.ReadRevocations(filepath.Join(dir, "small.der"))
	if err != nil || len(items) != 1 || !small.Equal(items[0].Certificate) {
		t.Errorf("a small certificate: %v, %v", items, err)
	}
	if d, err := secureboot.Describe("small.der", small.Raw); err != nil || len(d.Entries) != 1 || !small.Equal(d.Entries[0].Certificate) {
		t.Errorf("a small certificate: %v, %v", d, err)
	}
	for file, want := range map[string]string{"db.esl": "signature lists", "db.auth": "an update"} {
		_, err = secureboot.ReadRevocations(filepath.Join(dir, file))
		checkError(t, err, "it is "+want, "certificates or programs themselves")
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "nowhere"):        "no such file",
		filepath.Join(esp, "loader.conf"):    "",
		filepath.Join(esp, "texts"):          "no EFI program",
		strings.Repeat("ab", 31):             "no such file",
		os.DevNull:                           "neither a file nor a folder",
		filepath.Join(esp, "EFI", "nothing"): "no such file",
	} {
		_, err := secureboot.ReadRevocations(name)
		checkError(t, err, want, "root hashes")
	}
}

// certifySmall makes a certificate so small that its length takes one byte in DER.
func certifySmall(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: when(), NotAfter: when()}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil || der[1] != 0x81 {
		t.Fatalf("%d bytes, %v", len(der), err)
	}
	return cert
}

func TestRevokeWith(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	set := openSet(t, dir)
	items := []secureboot.Revocation{
		{Origin: "db.pem", Kind: secureboot.RevokedCertificate, Certificate: set.DB.Certificate},
		{Origin: "old.efi", Kind: secureboot.RevokedProgram, Digest: [32]byte{1}},
		{Origin: "images/k3s.sysext.raw", Kind: secureboot.RevokedExtension, Digest: [32]byte{2}},
		{Origin: hex.EncodeToString(make([]byte, 32)), Kind: secureboot.RevokedExtension},
	}
	out := filepath.Join(t.TempDir(), "out")
	o := secureboot.RevokeSetOptions{Dir: out, DenyName: "bad", Time: when()}
	r, err := secureboot.RevokeWith(set, items, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Files) != 4 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "this set's db") {
		t.Errorf("files %q, warnings %q", r.Files, r.Warnings)
	}
	u, err := efi.ParseUpdate(readFile(t, out, "dbx.auth"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secureboot.VerifyUpdate("dbx", u, true, set.KEK.Certificate); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(u.Data, readFile(t, out, "dbx.esl")) || !bytes.Contains(u.Data, set.DB.Certificate.Raw) {
		t.Error("the update holds other lists than expected")
	}
	text := readFile(t, out, "bad.deny")
	denials, err := trust.ParseDenyList(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]trust.Denial{{}, {Root: [32]byte{2}, Reason: "k3s.sysext.raw"}}, denials); diff != "" {
		t.Errorf("denials (-want +got):\n%s", diff)
	}
	signed, err := cms.Parse(readFile(t, out, "bad.deny.p7s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := signed.Verify(text, set.Extension.Certificate); err != nil {
		t.Error(err)
	}
	if !r.DBX.Equal(set.KEK.Certificate) || !r.Deny.Equal(set.Extension.Certificate) {
		t.Error("other signers than expected")
	}
	_, err = secureboot.RevokeWith(set, items, o)
	checkError(t, err, `file "dbx.esl": file already exists`, "--force")
}

// A deny list whose signer is revoked would make nodes trust nothing at all.
func TestDenyListOutlivesItsSigner(t *testing.T) {
	t.Parallel()
	set := openSet(t, copySet(t, 0))
	image := secureboot.Revocation{Origin: "x", Kind: secureboot.RevokedExtension}
	ext := secureboot.Revocation{Kind: secureboot.RevokedCertificate, Certificate: set.Extension.Certificate}
	db := secureboot.Revocation{Kind: secureboot.RevokedCertificate, Certificate: set.DB.Certificate}
	o := secureboot.RevokeSetOptions{Dir: filepath.Join(t.TempDir(), "out"), DenyName: "bad", Time: when(), ByHash: true, Reason: "stolen"}
	r, err := secureboot.RevokeWith(set, []secureboot.Revocation{image, ext}, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Deny.Equal(set.DB.Certificate) {
		t.Errorf("signed by %q", r.Deny.Subject)
	}
	if !bytes.HasSuffix(readFile(t, o.Dir, "bad.deny"), []byte(" stolen\n")) {
		t.Error("the reason is missing")
	}
	o.Dir = filepath.Join(t.TempDir(), "out")
	_, err = secureboot.RevokeWith(set, []secureboot.Revocation{image, ext, db}, o)
	checkError(t, err, `would be signed by "CN=acme-db", which is revoked`, "new keys")
	if _, err := os.Stat(o.Dir); err == nil {
		t.Error("a folder is left behind")
	}
	// With its authority a certificate goes, too.
	authority := makePair(t, "authority")
	issuedDir, _ := newSet(t, func(o *secureboot.SetOptions) { o.CA = &authority })
	ca := secureboot.Revocation{Kind: secureboot.RevokedCertificate, Certificate: authority.Certificate}
	_, err = secureboot.RevokeWith(openSet(t, issuedDir), []secureboot.Revocation{image, ca}, o)
	checkError(t, err, `would be signed by "CN=acme-db", which is revoked`, "new keys")
}
