package keys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io/fs"
	"math/big"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/keys"
	"inlay/test/need"
)

// now is a moment with a fraction of a second, which a certificate cannot hold.
func now() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 5e8, time.FixedZone("", 3600)) }

// create makes a pair in two files and returns their paths.
func create(t *testing.T, dir string, o keys.Options) []string {
	t.Helper()
	o.Role = "db"
	pair, err := keys.New(o)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.EncodeKey(pair.Signer)
	if err != nil {
		t.Fatal(err)
	}
	files, err := keys.Install(dir, false, []keys.File{
		{Name: "db.key", Secret: true, Data: key}, {Name: "db.pem", Data: keys.EncodeCertificate(pair.Certificate)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "keys")
	files := create(t, dir, keys.Options{Name: "acme", Clock: now, Rand: bytes.NewReader(bytes.Repeat([]byte{0x41}, 16))})
	if diff := cmp.Diff([]string{filepath.Join(dir, "db.key"), filepath.Join(dir, "db.pem")}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	checkModes(t, dir, map[string]fs.FileMode{".": 0o700, "db.key": 0o600})

	pair, err := keys.Load(files[0], files[1])
	if err != nil {
		t.Fatal(err)
	}
	if pair.Warning != "" {
		t.Errorf("warning %q", pair.Warning)
	}
	cert := pair.Certificate
	type facts struct {
		Subject, Issuer, Serial string
		Start, End              time.Time
		CA, Basic               bool
		Usage                   x509.KeyUsage
	}
	got := facts{
		cert.Subject.String(), cert.Issuer.String(), cert.SerialNumber.Text(16), cert.NotBefore, cert.NotAfter,
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage,
	}
	want := facts{
		"CN=acme-db", "CN=acme-db", "c1" + strings.Repeat("41", 15),
		time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), time.Date(2036, 11, 18, 9, 0, 0, 0, time.UTC),
		false, true, x509.KeyUsageDigitalSignature,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 2048 {
		t.Errorf("key %T, want RSA of 2048 bits", cert.PublicKey)
	}
}

func TestNewAlgorithms(t *testing.T) {
	t.Parallel()
	want := map[keys.Algorithm]string{
		keys.RSA2048: "RSA 2048", keys.RSA3072: "RSA 3072", keys.RSA4096: "RSA 4096", keys.P256: "P-256", keys.P384: "P-384",
	}
	for _, algorithm := range keys.Algorithms() {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			files := create(t, t.TempDir(), keys.Options{Name: "n", Algorithm: algorithm, Days: 1})
			pair, err := keys.Load(files[0], files[1])
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			switch key := pair.Signer.Public().(type) {
			case *rsa.PublicKey:
				got = fmt.Sprintf("RSA %d", key.N.BitLen())
			case *ecdsa.PublicKey:
				got = key.Curve.Params().Name
			}
			if got != want[algorithm] {
				t.Errorf("made %q, want %q", got, want[algorithm])
			}
			if life := pair.Certificate.NotAfter.Sub(pair.Certificate.NotBefore); life != 24*time.Hour {
				t.Errorf("valid for %v, want a day", life)
			}
			if bits := pair.Certificate.SerialNumber.BitLen(); bits != 128 {
				t.Errorf("serial number of %d bits", bits)
			}
		})
	}
}

// authority returns a CA for 100 days, changed by edit.
func authority(t *testing.T, edit func(*x509.Certificate)) *keys.Pair {
	t.Helper()
	key, err := keys.Generate(keys.P256)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of all"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now().AddDate(0, 0, -1), NotAfter: now().AddDate(0, 0, 100), KeyUsage: x509.KeyUsageCertSign,
	}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &keys.Pair{Certificate: cert, Signer: key}
}

func TestNewByIssuer(t *testing.T) {
	t.Parallel()
	ca := authority(t, func(*x509.Certificate) {})
	pair, err := keys.New(keys.Options{Name: "n", Role: "db", Algorithm: keys.P256, Days: 100, Issuer: ca, Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	if _, err := pair.Certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	if got := pair.Certificate.Issuer.String(); got != "CN=root of all" {
		t.Errorf("issued by %q", got)
	}
	if pair.Certificate.IsCA {
		t.Error("an authority was made")
	}
}

func TestNewRefusesIssuer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit       func(*x509.Certificate)
		days       int
		want, hint string
	}{
		"no authority":    {func(c *x509.Certificate) { c.IsCA = false }, 1, "not a certification authority", "CA:TRUE"},
		"no constraints":  {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }, 1, "not a certification authority", "CA:TRUE"},
		"must not sign":   {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, 1, "must not sign", "keyCertSign"},
		"expired":         {func(c *x509.Certificate) { c.NotAfter = now().Add(-time.Hour) }, 1, "valid from 2026-11-20 to 2026-11-21", "valid now"},
		"not yet valid":   {func(c *x509.Certificate) { c.NotBefore = now().Add(time.Hour) }, 1, "valid from", "valid now"},
		"ends too early":  {func(*x509.Certificate) {}, 101, "would outlive", "at most 100 days"},
		"default of days": {func(*x509.Certificate) {}, 0, "3650 days would outlive", "at most 100 days"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := keys.Options{Name: "n", Role: "db", Algorithm: keys.P256, Days: test.days, Issuer: authority(t, test.edit), Clock: now}
			checkError(t, o.Check(), test.want, test.hint)
			_, err := keys.New(o)
			checkError(t, err, test.want, test.hint)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options    keys.Options
		want, hint string
	}{
		"no name":       {keys.Options{}, `name ""`, "letters"},
		"control":       {keys.Options{Name: "a\nb"}, `name "a\nb"`, "letters"},
		"spaces around": {keys.Options{Name: " a"}, `name " a"`, "letters"},
		"not UTF-8":     {keys.Options{Name: "\xff"}, "cannot stand", "letters"},
		"long name":     {keys.Options{Name: strings.Repeat("ü", 61)}, "longer than 60", ""},
		"algorithm":     {keys.Options{Name: "n", Algorithm: "ed25519"}, `algorithm "ed25519"`, "rsa2048, rsa3072, rsa4096, p256, p384"},
		"negative days": {keys.Options{Name: "n", Days: -1}, "-1 days", ""},
		"too many days": {keys.Options{Name: "n", Days: 36501}, "36501 days", ""},
		"no randomness": {keys.Options{Name: "n", Algorithm: keys.P256, Rand: strings.NewReader("short")}, "serial number", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := keys.New(test.options)
			checkError(t, err, test.want, test.hint)
		})
	}
}

func TestOpenSSLReadsCreated(t *testing.T) {
	t.Parallel()
	openssl := need.Tool(t, "openssl", "openssl")
	for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.P256, keys.P384} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			files := create(t, t.TempDir(), keys.Options{Name: "acme", Algorithm: algorithm})
			run := func(args ...string) string {
				t.Helper()
				output, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput()
				if err != nil {
					t.Fatalf("openssl %q: %v\n%s", args, err, output)
				}
				return string(output)
			}
			run("pkey", "-in", files[0], "-check", "-noout")
			fromKey := run("pkey", "-in", files[0], "-pubout")
			fromCert := run("x509", "-in", files[1], "-pubkey", "-noout")
			if diff := cmp.Diff(fromKey, fromCert); diff != "" {
				t.Errorf("public keys differ:\n%s", diff)
			}
			text := run("x509", "-in", files[1], "-noout", "-text")
			for _, want := range []string{"CN=acme-db", "CA:FALSE", "DigitalSignature"} {
				if !strings.Contains(strings.ReplaceAll(text, " ", ""), want) { // versions space differently
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			run("verify", "-CAfile", files[1], "-partial_chain", "-check_ss_sig", files[1])
		})
	}
}
