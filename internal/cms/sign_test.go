package cms_test

import (
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cms"
)

func TestSignWritesWhatOpenSSLWrites(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa", "rsa4096"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := cms.Sign(vector(t, "content"), certificate(t, name), privateKey(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(vector(t, name+".p7s"), got); diff != "" {
				t.Errorf("not the vector (-want +got):\n%s", diff)
			}
		})
	}
}

// The form around a signature is OpenSSL's for every key, also where OpenSSL's
// signature holds a random number.
func TestAssembleWritesWhatOpenSSLWrites(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa", "rsa4096", "p256", "p384"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := vector(t, name+".p7s")
			parsed, err := cms.Parse(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := cms.Assemble(parsed.Signature, certificate(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("not the vector (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSignIsDeterministic(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa", "p256", "p384"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cert, key := certificate(t, name), privateKey(t, name)
			var made [2][]byte
			for i := range made {
				der, err := cms.Sign([]byte("content"), cert, key)
				if err != nil {
					t.Fatal(err)
				}
				made[i] = der
			}
			if diff := cmp.Diff(made[0], made[1]); diff != "" {
				t.Errorf("two runs differ:\n%s", diff)
			}
			parsed, err := cms.Parse(made[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := parsed.Verify([]byte("content"), cert); err != nil {
				t.Error(err)
			}
			if parsed.Digest != crypto.SHA256 {
				t.Errorf("digest %v, want SHA-256", parsed.Digest)
			}
		})
	}
}

// broken is a signer that answers with fixed bytes.
type broken struct {
	public    crypto.PublicKey
	signature []byte
	err       error
}

func (b broken) Public() crypto.PublicKey { return b.public }

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.signature, b.err }

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	rsaCert := certificate(t, "rsa")
	tests := map[string]struct {
		cert *x509.Certificate
		key  crypto.Signer
		want string
	}{
		"key of another certificate": {rsaCert, privateKey(t, "rsa4096"), "does not match"},
		"key of another kind":        {rsaCert, privateKey(t, "p256"), "does not match"},
		"weak key":                   {certificate(t, "rsa1024"), broken{}, "RSA key of 1024 bits"},
		"signer that fails":          {rsaCert, broken{err: errors.New("token is gone")}, "token is gone"},
		"signer that lies":           {rsaCert, broken{signature: make([]byte, 256)}, "does not match"},
		"certificate without a key":  {&x509.Certificate{}, broken{}, "neither RSA nor ECDSA"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der, err := cms.Sign([]byte("content"), test.cert, test.key)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if der != nil {
				t.Error("a refused signature came out")
			}
		})
	}
}

func TestAssembleRefusesImpossibleSignatures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		signer    string
		signature string
	}{
		"RSA, empty":         {"rsa", ""},
		"RSA, too short":     {"rsa", strings.Repeat("x", 255)},
		"RSA, too long":      {"rsa", strings.Repeat("x", 512)},
		"ECDSA, empty":       {"p256", ""},
		"ECDSA, raw r and s": {"p256", strings.Repeat("x", 64)},
		"ECDSA, zero":        {"p256", "\x30\x06\x02\x01\x00\x02\x01\x01"},
		"ECDSA, negative":    {"p256", "\x30\x06\x02\x01\x01\x02\x01\xff"},
		"ECDSA, trailing":    {"p256", "\x30\x06\x02\x01\x01\x02\x01\x01\x00"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := cms.Assemble([]byte(test.signature), certificate(t, test.signer)); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := cms.Assemble([]byte("\x30\x06\x02\x01\x01\x02\x01\x01"), certificate(t, "p256")); err != nil {
		t.Errorf("a possible signature: %v", err)
	}
}
