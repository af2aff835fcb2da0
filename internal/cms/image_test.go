package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cms"
)

// programDigest is the digest of the program that the vectors sign.
func programDigest(t testing.TB) [32]byte {
	t.Helper()
	digest, err := hex.DecodeString(string(vector(t, "program.sha256")))
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(digest)
}

func TestParseImageOfTools(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		signer       string
		digest       crypto.Hash
		certificates int
	}{
		"program-sbsign":       {"rsa", crypto.SHA256, 1},
		"program-systemd":      {"rsa", crypto.SHA256, 1},
		"program-osslsigncode": {"rsa", crypto.SHA256, 1},
		"program-chain":        {"rsa", crypto.SHA256, 2},
		"program-sha384":       {"rsa4096", crypto.SHA384, 1},
		"program-p256":         {"p256", crypto.SHA256, 1},
		"program-description":  {"rsa", crypto.SHA256, 1},
		"program-pages":        {"rsa", crypto.SHA256, 1},
		"program-timestamp":    {"rsa", crypto.SHA256, 1},
	}
	digest := programDigest(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der := vector(t, name+".p7")
			parsed, err := cms.ParseImage(der)
			if err != nil {
				t.Fatal(err)
			}
			cert := certificate(t, test.signer)
			if parsed.Digest != test.digest || len(parsed.ImageDigest) != test.digest.Size() {
				t.Errorf("digest %v of %d bytes, want %v", parsed.Digest, len(parsed.ImageDigest), test.digest)
			}
			if parsed.Digest == crypto.SHA256 && !bytes.Equal(parsed.ImageDigest, digest[:]) {
				t.Errorf("the program's digest is %x, want %x", parsed.ImageDigest, digest)
			}
			if len(parsed.Certificates) != test.certificates {
				t.Errorf("%d certificates, want %d", len(parsed.Certificates), test.certificates)
			}
			if parsed.Issuer.String() != cert.Issuer.String() || parsed.Serial.Cmp(cert.SerialNumber) != 0 || !parsed.Signer().Equal(cert) {
				t.Errorf("signed by %v %v", parsed.Issuer, parsed.Serial)
			}
			if err := parsed.Verify(cert); err != nil {
				t.Error(err)
			}
			for _, other := range []string{"rsa", "rsa4096", "p256"} {
				if err := parsed.Verify(certificate(t, other)); other != test.signer && !errors.Is(err, cms.ErrOtherSigner) {
					t.Errorf("with the certificate of %s: %v", other, err)
				}
			}
			for n := range bytes.TrimRight(der, "\x00") {
				if _, err := cms.ParseImage(der[:n]); err == nil {
					t.Fatalf("cut to %d bytes: accepted", n)
				}
			}
		})
	}
}

func TestSignImage(t *testing.T) {
	t.Parallel()
	digest := programDigest(t)
	cert, key, extra := certificate(t, "rsa"), privateKey(t, "rsa"), certificate(t, "p256")
	for name, test := range map[string]struct {
		extra []*x509.Certificate
		want  int
	}{
		"alone":         {nil, 1},
		"with a chain":  {[]*x509.Certificate{extra}, 2},
		"without twins": {[]*x509.Certificate{extra, cert, extra}, 2},
	} {
		der, err := cms.SignImage(digest, cert, key, test.extra...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := cms.SignImage(digest, cert, key, test.extra...)
		if err != nil || !bytes.Equal(der, again) {
			t.Errorf("%s: two runs differ, or %v", name, err)
		}
		parsed, err := cms.ParseImage(der)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Digest != crypto.SHA256 || !bytes.Equal(parsed.ImageDigest, digest[:]) {
			t.Errorf("%s: %v %x", name, parsed.Digest, parsed.ImageDigest)
		}
		if len(parsed.Certificates) != test.want || !parsed.Signer().Equal(cert) {
			t.Errorf("%s: %d certificates", name, len(parsed.Certificates))
		}
		if err := parsed.Verify(cert); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := make([]*x509.Certificate, 16)
	for i := range many {
		many[i] = &x509.Certificate{Raw: []byte{0x30, 1, byte(i)}}
	}
	if _, err := cms.SignImage(digest, cert, key, many...); err == nil || !strings.Contains(err.Error(), "more than 16 certificates") {
		t.Errorf("17 certificates: %v", err)
	}
	if _, err := cms.SignImage(digest, cert, key, &x509.Certificate{}); err == nil {
		t.Error("a certificate without bytes is accepted")
	}
}

// What comes before the certificates and after them is what sbsign writes, but
// for attributes that say when, and which ciphers it would read mail in.
func TestSignImageWritesWhatSbsignWrites(t *testing.T) {
	t.Parallel()
	der, err := cms.SignImage(programDigest(t), certificate(t, "rsa"), privateKey(t, "rsa"))
	if err != nil {
		t.Fatal(err)
	}
	// The version, the digest algorithms and the content part.
	const head = "\x02\x01\x01\x31"
	before := func(der []byte) []byte {
		_, after, _ := bytes.Cut(der, []byte(head))
		part, _, found := bytes.Cut(after, certificate(t, "rsa").Raw)
		if !found {
			t.Fatal("no certificate")
		}
		return part
	}
	if diff := cmp.Diff(before(vector(t, "program-sbsign.p7")), before(der)); diff != "" {
		t.Errorf("(-sbsign +ours):\n%s", diff)
	}
}

// Every bit counts but those of the certificates: whose they are, whoever
// verifies knows.
func TestEveryBitOfAnImageSignatureCounts(t *testing.T) {
	t.Parallel()
	cert := certificate(t, "rsa")
	der, err := cms.SignImage(programDigest(t), cert, privateKey(t, "rsa"))
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Index(der, cert.Raw)
	for i := range len(der) * 8 {
		if i/8 >= first && i/8 < first+len(cert.Raw) {
			continue
		}
		changed := bytes.Clone(der)
		changed[i/8] ^= 1 << (i % 8)
		parsed, err := cms.ParseImage(changed)
		if err == nil && parsed.Verify(cert) == nil {
			t.Errorf("bit %d of byte %d is open", i%8, i/8)
		}
	}
}

func TestParseImageAllowsPadding(t *testing.T) {
	t.Parallel()
	der := bytes.TrimRight(vector(t, "program-sbsign.p7"), "\x00")
	for n := range 8 {
		if _, err := cms.ParseImage(append(bytes.Clone(der), make([]byte, n)...)); err != nil {
			t.Errorf("%d zero bytes after it: %v", n, err)
		}
	}
	for name, tail := range map[string][]byte{"eight zero bytes": make([]byte, 8), "one byte": {1}, "not all zero": {0, 0, 1}} {
		if _, err := cms.ParseImage(append(bytes.Clone(der), tail...)); err == nil || !strings.Contains(err.Error(), "bytes follow") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestParseImageRefusesVectors(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"bad-program-sha1.p7": "digest algorithm SHA-1",
		"rsa.p7s":             "not the signature of a program",
		"bad-attributes.p7s":  "not the signature of a program",
		"bad-two-signers.p7s": "not the signature of a program",
		"bad-pem.p7s":         "text, not DER",
		"rsa.pem":             "text, not DER",
	} {
		if _, err := cms.ParseImage(vector(t, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	for name, der := range map[string][]byte{
		"nothing": nil, "zero bytes": make([]byte, 8), "too long": make([]byte, 64<<10+1), "bare": bare(t, vector(t, "program-sbsign.p7")),
	} {
		if _, err := cms.ParseImage(der); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseImage(f *testing.F) {
	names, err := filepath.Glob("testdata/*.p7*")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		f.Add(vector(f, filepath.Base(name)))
	}
	rsa, p256 := certificate(f, "rsa"), certificate(f, "p256")
	f.Fuzz(func(t *testing.T, der []byte) {
		parsed, err := cms.ParseImage(der)
		if err != nil {
			return
		}
		if parsed.Digest != crypto.SHA256 && parsed.Digest != crypto.SHA384 && parsed.Digest != crypto.SHA512 {
			t.Errorf("digest %v", parsed.Digest)
		}
		if len(parsed.ImageDigest) != parsed.Digest.Size() || len(parsed.Certificates) > 16 || parsed.Serial == nil {
			t.Error("a signature out of bounds")
		}
		_ = parsed.Signer()
		_ = parsed.Verify(rsa)
		_ = parsed.Verify(p256)
		if _, err := cms.ParseImage(append(bytes.Clone(der), 1)); err == nil {
			t.Error("the same with a trailing byte is accepted")
		}
		if _, err := cms.Parse(der); err == nil {
			t.Error("it is the signature of a root hash too")
		}
	})
}
