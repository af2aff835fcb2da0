package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"inlay/internal/cms"
)

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	content := vector(t, "content")
	tests := map[string]struct {
		vector, content, cert string
		is                    error
		want                  string
	}{
		"other content":        {"rsa", strings.Repeat("0", 64), "rsa", cms.ErrSignature, "CN=test-db"},
		"content with newline": {"rsa", string(content) + "\n", "rsa", cms.ErrSignature, ""},
		"no content":           {"p256", "", "p256", cms.ErrSignature, ""},
		"other certificate":    {"rsa", string(content), "rsa4096", cms.ErrOtherSigner, "CN=test 4096"},
		"embedded, not signer": {"good-chain", string(content), "p256", cms.ErrOtherSigner, ""},
		"weak key":             {"bad-weak-key", string(content), "rsa1024", nil, "RSA key of 1024 bits"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := cms.Parse(vector(t, test.vector+".p7s"))
			if err != nil {
				t.Fatal(err)
			}
			err = parsed.Verify([]byte(test.content), certificate(t, test.cert))
			if err == nil {
				t.Fatal("accepted")
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v, want %v", err, test.is)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// Whoever makes a certificate chooses its issuer and serial number, so that
// these name nobody: the key to verify with is the caller's, not the message's.
func TestVerifyIgnoresEmbeddedTwin(t *testing.T) {
	t.Parallel()
	anchor, anchorKey := twin(t)
	forged, forgedKey := twin(t)
	content := []byte("content")

	der, err := cms.Sign(content, forged, forgedKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(content, forged); err != nil {
		t.Fatalf("the test's own signature: %v", err)
	}
	if err := parsed.Verify(content, anchor); !errors.Is(err, cms.ErrSignature) {
		t.Errorf("error %v, want %v", err, cms.ErrSignature)
	}

	// The other way round: the right key, and the twin's certificate inside.
	right, err := anchorKey.Sign(nil, digestOf(content), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if der, err = cms.Assemble(right, forged); err != nil {
		t.Fatal(err)
	}
	if parsed, err = cms.Parse(der); err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(content, anchor); err != nil {
		t.Errorf("signed by the anchor's key: %v", err)
	}
}

// twin makes a certificate whose issuer and serial number are always the same.
func twin(t *testing.T) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return twinOf(t, key), key
}

func twinOf(t *testing.T, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "twin"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Unix(1<<31, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func digestOf(content []byte) []byte {
	h := crypto.SHA256.New()
	h.Write(content)
	return h.Sum(nil)
}

// A name that joins scheme and digest must agree with the digest.
func TestJoinedAlgorithmNames(t *testing.T) {
	t.Parallel()
	rsaEncryption := []byte("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")
	changed := vector(t, "good-nocerts.p7s")
	last := bytes.LastIndex(changed, rsaEncryption) + 12
	changed[last] = 13 // sha512WithRSAEncryption
	if _, err := cms.Parse(changed); err == nil || !strings.Contains(err.Error(), "signature algorithm") {
		t.Errorf("sha512WithRSAEncryption over SHA-256: error %v", err)
	}
	changed[last] = 11 // sha256WithRSAEncryption, which some peers write
	parsed, err := cms.Parse(changed)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Verify(vector(t, "content"), certificate(t, "rsa")); err != nil {
		t.Errorf("sha256WithRSAEncryption: %v", err)
	}
}

func TestVerifyRefusesKeyOfAnotherKind(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.Sign([]byte("content"), twinOf(t, key), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cms.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	anchor, _ := twin(t)
	if err := parsed.Verify([]byte("content"), anchor); err == nil || !strings.Contains(err.Error(), "the signature is RSA, the key ECDSA") {
		t.Errorf("error %v", err)
	}
}

// Of a message without certificates every single bit counts.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	content := vector(t, "content")
	for name, signer := range map[string]string{"good-nocerts.p7s": "rsa", "good-nocerts-p256.p7s": "p256"} {
		der, cert := vector(t, name), certificate(t, signer)
		for i := range len(der) * 8 {
			changed := bytes.Clone(der)
			changed[i/8] ^= 1 << (i % 8)
			parsed, err := cms.Parse(changed)
			if err != nil {
				continue
			}
			if parsed.Verify(content, cert) == nil {
				t.Errorf("%s: bit %d of byte %d is open", name, i%8, i/8)
			}
		}
	}
}
