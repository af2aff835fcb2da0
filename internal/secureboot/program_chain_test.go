package secureboot_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/keys"
	"inlay/internal/pe"
	"inlay/internal/secureboot"
)

// issue makes a key with a certificate that by has issued; change may change it.
func issue(t testing.TB, name string, by keys.Pair, change func(c *x509.Certificate)) keys.Pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: when().AddDate(-1, 0, 0), NotAfter: when().AddDate(1, 0, 0), BasicConstraintsValid: true, IsCA: true,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.Signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Pair{Certificate: cert, Signer: key}
}

func TestVerifyProgramByIssuer(t *testing.T) {
	t.Parallel()
	root := makePair(t, "root")
	between := issue(t, "between", root, nil)
	leaf := issue(t, "leaf", between, func(c *x509.Certificate) { c.IsCA = false })
	noCA := issue(t, "below leaf", leaf, nil)
	narrow := issue(t, "narrow", root, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	below := issue(t, "below narrow", narrow, nil)
	deep := issue(t, "deep", below, nil)
	twin := makePair(t, "root") // of the same name
	b := programVector(t, "tiny.efi")

	tests := map[string]struct {
		signer keys.Pair
		chain  []keys.Pair
		by     keys.Pair
		good   bool
	}{
		"itself":               {leaf, nil, leaf, true},
		"its issuer":           {leaf, nil, between, true},
		"through another":      {leaf, []keys.Pair{between}, root, true},
		"with all":             {leaf, []keys.Pair{root, between}, root, true},
		"without the other":    {leaf, nil, root, false},
		"another of that name": {leaf, []keys.Pair{between}, twin, false},
		"brings its own root":  {leaf, []keys.Pair{between, root}, twin, false},
		"leaf as issuer":       {noCA, []keys.Pair{leaf, between}, root, false},
		"leaf in db":           {noCA, nil, leaf, false},
		"short path":           {below, nil, narrow, true},
		"long path":            {deep, []keys.Pair{below}, narrow, false},
		"long path, by root":   {deep, []keys.Pair{below, narrow}, root, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o secureboot.SignOptions
			for _, p := range test.chain {
				o.Chain = append(o.Chain, p.Certificate)
			}
			s, err := verifyProgram(signProgram(t, b, test.signer, o), test.by.Certificate)
			switch {
			case test.good && (err != nil || s.By != test.by.Certificate || !s.Signer.Equal(test.signer.Certificate)):
				t.Errorf("%+v, %v", s, err)
			case !test.good && !errors.Is(err, cms.ErrOtherSigner):
				t.Errorf("accepted: %v", err)
			}
		})
	}
}

// A certificate that the trusted one has issued can be brought by anybody.
func TestVerifyProgramForged(t *testing.T) {
	t.Parallel()
	root := makePair(t, "root")
	leaf := issue(t, "leaf", root, nil)
	b := signProgram(t, programVector(t, "tiny.efi"), leaf, secureboot.SignOptions{})
	f, err := pe.Parse(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	der, err := f.Signature(f.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	b[int(f.Certificates[0].Offset)+len(der)-1] ^= 1 // the signature comes last
	for _, by := range []keys.Pair{root, leaf} {
		if _, err := verifyProgram(b, by.Certificate); !errors.Is(err, cms.ErrSignature) {
			t.Errorf("by %q: %v", by.Certificate.Subject, err)
		}
	}
}

// Sixteen certificates that have all issued one another are no way to keep a
// verifier busy.
func TestVerifyProgramTangle(t *testing.T) {
	t.Parallel()
	one := makePair(t, "same")
	var o secureboot.SignOptions
	for range 15 {
		o.Chain = append(o.Chain, sameName(t, one))
	}
	leaf := issue(t, "leaf", one, nil)
	b := signProgram(t, programVector(t, "tiny.efi"), leaf, o)
	if _, err := verifyProgram(b, makePair(t, "same").Certificate); !errors.Is(err, cms.ErrOtherSigner) {
		t.Errorf("error %v", err)
	}
}

// sameName makes a certificate of the name and key of by, with another number.
func sameName(t testing.TB, by keys.Pair) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: by.Certificate.Subject, BasicConstraintsValid: true, IsCA: true,
		NotBefore: when(), NotAfter: when().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, by.Signer.Public(), by.Signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
