package cms_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"inlay/internal/cms"
	"inlay/internal/hint"
)

// bare takes the ContentInfo off.
func bare(t testing.TB, der []byte) []byte {
	t.Helper()
	input := cryptobyte.String(der)
	var info, body, signed cryptobyte.String
	if !input.ReadASN1(&info, casn1.SEQUENCE) || !info.SkipASN1(casn1.OBJECT_IDENTIFIER) ||
		!info.ReadASN1(&body, casn1.Tag(0).ContextSpecific().Constructed()) || !body.ReadASN1Element(&signed, casn1.SEQUENCE) {
		t.Fatal("no ContentInfo")
	}
	return signed
}

// What is inside is what OpenSSL writes.
func TestSignBareWritesTheInside(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa", "rsa4096"} {
		got, err := cms.SignBare(vector(t, "content"), certificate(t, name), privateKey(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(bare(t, vector(t, name+".p7s")), got); diff != "" {
			t.Errorf("%s: not the vector (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseBare(t *testing.T) {
	t.Parallel()
	whole := vector(t, "rsa.p7s")
	for name, der := range map[string][]byte{"bare": bare(t, whole), "in a ContentInfo": whole} {
		parsed, err := cms.ParseBare(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := parsed.Verify(vector(t, "content"), certificate(t, "rsa")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := parsed.Verify([]byte("other"), certificate(t, "rsa")); !errors.Is(err, cms.ErrSignature) {
			t.Errorf("%s: over other content: %v", name, err)
		}
		for n := range der {
			if _, err := cms.ParseBare(der[:n]); err == nil {
				t.Fatalf("%s, cut to %d bytes: accepted", name, n)
			}
		}
		if _, err := cms.ParseBare(append(bytes.Clone(der), 0)); err == nil || !strings.Contains(err.Error(), "1 bytes follow") {
			t.Errorf("%s, a byte longer: error %v", name, err)
		}
	}
	// The signature of an image keeps its form.
	if _, err := cms.Parse(bare(t, whole)); err == nil || !strings.Contains(err.Error(), "not signed data") {
		t.Errorf("a bare root-hash signature: error %v", err)
	}
}

// Bare or not, what Parse refuses is refused.
func TestParseBareRefuses(t *testing.T) {
	t.Parallel()
	if _, err := cms.ParseBare(vector(t, "bad-attributes.p7s")); !slices.Equal(hint.Of(err), []string{
		"make the update with sign-efi-sig-list of efitools, or inlay keys; sbvarsign signs what no firmware takes",
	}) {
		t.Errorf("signed attributes: advice %q", hint.Of(err))
	}
	for name, want := range map[string]string{
		"bad-attributes": "signed attributes", "bad-attached": "inside the message", "bad-sha1": "SHA-1", "bad-sha224": "SHA-224",
		"bad-two-signers": "more than one signer", "bad-keyid": "version 3", "bad-pss": "has parameters",
	} {
		der := vector(t, name+".p7s")
		for _, der := range [][]byte{der, bare(t, der)} {
			if _, err := cms.ParseBare(der); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", name, err, want)
			}
		}
	}
	for name, der := range map[string][]byte{
		"nothing": nil, "an empty sequence": {0x30, 0}, "a version alone": {0x30, 3, 2, 1, 1},
		"text": vector(t, "bad-pem.p7s"), "a program's signature": vector(t, "program-sbsign.p7"), "too long": make([]byte, 64<<10+1),
	} {
		if _, err := cms.ParseBare(der); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Firmware need not know ECDSA, and a signer that lies is found out.
func TestSignForFirmwareRefuses(t *testing.T) {
	t.Parallel()
	sign := map[string]func(*x509.Certificate, broken) ([]byte, error){
		"bare":    func(cert *x509.Certificate, key broken) ([]byte, error) { return cms.SignBare([]byte("x"), cert, key) },
		"program": func(cert *x509.Certificate, key broken) ([]byte, error) { return cms.SignImage([32]byte{}, cert, key) },
	}
	for name, sign := range sign {
		if _, err := sign(certificate(t, "p256"), broken{}); err == nil || !strings.Contains(strings.Join(hint.Of(err), ""), "RSA key of 2048") {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := sign(certificate(t, "rsa1024"), broken{}); err == nil || !strings.Contains(err.Error(), "1024 bits") {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := sign(certificate(t, "rsa"), broken{signature: make([]byte, 256)}); !errors.Is(err, cms.ErrSignature) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzParseBare(f *testing.F) {
	names, err := filepath.Glob("testdata/*.p7s")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		der := vector(f, filepath.Base(name))
		f.Add(der)
		if der[0] == 0x30 && der[1] == 0x82 {
			f.Add(bare(f, der))
		}
	}
	rsa, content := certificate(f, "rsa"), vector(f, "content")
	f.Fuzz(func(t *testing.T, der []byte) {
		parsed, err := cms.ParseBare(der)
		if whole, err := cms.Parse(der); err == nil && (parsed == nil || !bytes.Equal(whole.Signature, parsed.Signature)) {
			t.Error("what Parse reads, ParseBare does not")
		}
		if err != nil {
			return
		}
		if len(parsed.Certificates) > 16 || len(parsed.Signature) == 0 || parsed.Serial == nil {
			t.Error("a message out of bounds")
		}
		_ = parsed.Signer()
		_ = parsed.Verify(content, rsa)
		if _, err := cms.ParseBare(append(bytes.Clone(der), 0)); err == nil {
			t.Error("the same with a trailing byte is accepted")
		}
	})
}
