// Package sample makes small extension images for tests: with the real builder,
// in milliseconds, signed by keys that exist for one test.
package sample

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"inlay/internal/build"
	"inlay/internal/extension"
	"inlay/internal/keys"
	"inlay/internal/osrelease"
	"inlay/internal/source"
)

// Image says what image to make. The zero value is an unsigned sysext "hello"
// for x86-64 with one program.
type Image struct {
	Name       string
	Kind       extension.Kind
	Arch       string // "" is x86-64
	Signer     *keys.Pair
	Deferred   bool              // room for a signature, and none in it
	Files      map[string]string // by path; with a mode of 0755
	Release    []osrelease.Field
	FileSystem string // erofs if empty
}

// Make builds im into a folder of the test's own and returns the image's path.
func Make(t testing.TB, im Image) string {
	t.Helper()
	if im.Name == "" {
		im.Name = "hello"
	}
	if im.Kind.Name == "" {
		im.Kind = extension.Sysext()
	}
	if im.Arch == "" {
		im.Arch = "x86-64"
	}
	if im.FileSystem == "" {
		im.FileSystem = string(build.EROFS)
	}
	if im.Files == nil {
		im.Files = map[string]string{im.Kind.Hierarchies[0] + "/bin/hello": "#!/bin/sh\necho hello\n"}
	}
	folder := t.TempDir()
	for name, text := range im.Files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	architecture, err := extension.ArchitectureNamed(im.Arch)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := source.Parse("dir:" + folder)
	if err != nil {
		t.Fatal(err)
	}
	o := build.Options{
		Reference: ref, Name: im.Name, Kind: im.Kind, Architecture: architecture, Release: im.Release,
		FileSystem: build.FileSystem(im.FileSystem), Signer: im.Signer, DeferSignature: im.Deferred, Output: t.TempDir(),
	}
	src, err := source.Open(t.Context(), ref, source.Options{Architecture: architecture.Go, Wanted: o.Wanted()})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	result, err := build.Run(t.Context(), src, o)
	if err != nil {
		t.Fatal(err)
	}
	return result.Path
}

// Certificate says what certificate to make for a key. The zero value is an
// ECDSA P-256 key, signed by itself, valid around now.
type Certificate struct {
	Name string // the common name
	// Organization is left out if empty.
	Organization string
	Key          crypto.Signer
	Issuer       *keys.Pair // nil: itself
	CA           bool
	Serial       int64
	From, To     time.Time
}

// Pair makes a key and its certificate.
func Pair(t testing.TB, c Certificate) *keys.Pair {
	t.Helper()
	if c.Name == "" {
		c.Name = t.Name()
	}
	if c.Key == nil {
		c.Key = ECDSA(t, elliptic.P256())
	}
	if c.From.IsZero() {
		c.From = time.Now().Add(-time.Hour)
	}
	if c.To.IsZero() {
		c.To = time.Now().Add(24 * time.Hour)
	}
	if c.Serial == 0 {
		c.Serial = 1
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: c.Name}, SerialNumber: big.NewInt(c.Serial), NotBefore: c.From, NotAfter: c.To,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: c.CA,
	}
	if c.CA {
		template.KeyUsage |= x509.KeyUsageCertSign
	}
	if c.Organization != "" {
		template.Subject.Organization = []string{c.Organization}
	}
	parent, signer := template, c.Key
	if c.Issuer != nil {
		parent, signer = c.Issuer.Certificate, c.Issuer.Signer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, c.Key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &keys.Pair{Certificate: certificate, Signer: c.Key}
}

// ECDSA makes a key.
func ECDSA(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// RSA makes a key.
func RSA(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// PEM returns certificates as a .crt file has them.
func PEM(certificates ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}
