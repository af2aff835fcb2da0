//go:build machines

package machines_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// keyPair is a private key and its certificate, as PEM files.
type keyPair struct{ key, certificate string }

// algorithms are the kinds of keys that extensions may be signed with.
func algorithms() []string { return []string{"rsa2048", "rsa4096", "p256", "p384"} }

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, fmt.Errorf("unknown algorithm %q", algorithm)
}

// inlayKeyPair is the pair that "inlay keys create" makes.
func inlayKeyPair(t *testing.T, name string) keyPair {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "keys")
	runInlay(t, "keys", "create", name, "--output", folder)
	return keyPair{filepath.Join(folder, "db.key"), filepath.Join(folder, "db.pem")}
}

// newKeyPair makes a key of the algorithm and a self-signed certificate for it.
func newKeyPair(t *testing.T, name, algorithm string) keyPair {
	t.Helper()
	return newKeyPairUntil(t, name, algorithm, time.Now().Add(30*24*time.Hour))
}

// newKeyPairUntil makes one that is valid until a time, from a day before that or
// before now.
func newKeyPairUntil(t *testing.T, name, algorithm string, until time.Time) keyPair {
	t.Helper()
	from := time.Now()
	if until.Before(from) {
		from = until
	}
	signer, err := generate(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "inlay test " + name},
		// The emulated clock may be a little off.
		NotBefore:             from.Add(-24 * time.Hour),
		NotAfter:              until,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	pair := keyPair{filepath.Join(folder, name+".key"), filepath.Join(folder, name+".pem")}
	writePEM(t, pair.key, "PRIVATE KEY", key)
	writePEM(t, pair.certificate, "CERTIFICATE", certificate)
	return pair
}

func writePEM(t *testing.T, path, kind string, content []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
