package secureboot_test

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
	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

// when is the time of the updates here.
func when() time.Time { return time.Date(2024, 2, 29, 23, 59, 58, 0, time.UTC) }

func owner(t *testing.T) guid.GUID {
	t.Helper()
	g, err := guid.Parse("6f0ab0f6-14fb-4dcc-b4d1-46c4f0b64f2c")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// makePair makes an RSA key with a certificate of its own.
func makePair(t *testing.T, name string) keys.Pair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, name, key)
}

func certify(t *testing.T, name string, key crypto.Signer) keys.Pair {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: when().AddDate(-1, 0, 0), NotAfter: when().AddDate(100, 0, 0), BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Pair{Certificate: cert, Signer: key}
}

// certifyBy makes a certificate that the pair has issued.
func certifyBy(t *testing.T, name string, by keys.Pair) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: when().AddDate(-1, 0, 0), NotAfter: when().AddDate(100, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.Signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// listOf is a list with one certificate.
func listOf(t *testing.T, cert *x509.Certificate) []efi.List {
	t.Helper()
	return []efi.List{{Type: efi.X509(), Entries: []efi.Entry{{Owner: owner(t), Data: cert.Raw}}}}
}

func TestUpdateRoundTrip(t *testing.T) {
	t.Parallel()
	kek, other := makePair(t, "KEK"), makePair(t, "other")
	for name, o := range map[string]secureboot.UpdateOptions{
		"db":  {Time: when()},
		"dbx": {Append: true},
		"dbt": {Append: true, Time: when()},
		"KEK": {Time: when().In(time.FixedZone("east", 3600)).Add(999)},
	} {
		u, err := secureboot.NewUpdate(name, listOf(t, other.Certificate), kek, o)
		if err != nil {
			t.Fatal(err)
		}
		want := efi.Stamp{}
		if !o.Time.IsZero() {
			want = efi.NewStamp(when())
		}
		if u.Time != want {
			t.Errorf("%s: time %v, want %v", name, u.Time, want)
		}
		read, err := efi.ParseUpdate(u.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if cert, err := secureboot.VerifyUpdate(name, read, o.Append, other.Certificate, kek.Certificate); err != nil || !cert.Equal(kek.Certificate) {
			t.Errorf("%s: %v, %v", name, cert, err)
		}
		again, err := secureboot.NewUpdate(name, listOf(t, other.Certificate), kek, o)
		if err != nil || !bytes.Equal(u.Marshal(), again.Marshal()) {
			t.Errorf("%s: two runs differ, or %v", name, err)
		}
	}
}

// No lists, where they replace, delete a variable.
func TestUpdateThatDeletes(t *testing.T) {
	t.Parallel()
	pk := makePair(t, "PK")
	u, err := secureboot.NewUpdate("PK", nil, pk, secureboot.UpdateOptions{Time: when()})
	if err != nil || len(u.Data) != 0 {
		t.Fatalf("%x, %v", u.Data, err)
	}
	if _, err := secureboot.VerifyUpdate("PK", u, false, pk.Certificate); err != nil {
		t.Error(err)
	}
}

func TestVerifyUpdateRefuses(t *testing.T) {
	t.Parallel()
	kek, twin, other := makePair(t, "KEK"), makePair(t, "KEK"), makePair(t, "other")
	good, err := secureboot.NewUpdate("db", listOf(t, other.Certificate), kek, secureboot.UpdateOptions{Time: when()})
	if err != nil {
		t.Fatal(err)
	}
	with := func(damage func(u *efi.Update)) efi.Update {
		u := good
		u.Data, u.PKCS7 = bytes.Clone(u.Data), bytes.Clone(u.PKCS7)
		damage(&u)
		return u
	}
	ours := []*x509.Certificate{kek.Certificate}
	bad := cms.ErrSignature.Error()
	for name, test := range map[string]struct {
		variable  string
		u         efi.Update
		appending bool
		by        []*x509.Certificate
		want      string
	}{
		"of another variable":    {"dbx", good, false, ours, bad},
		"of another vendor":      {"KEK", good, false, ours, bad},
		"of no such variable":    {"Boot0001", good, false, ours, "no signed updates are known"},
		"appending":              {"db", good, true, ours, bad},
		"another time":           {"db", with(func(u *efi.Update) { u.Time.Second-- }), false, ours, bad},
		"other data":             {"db", with(func(u *efi.Update) { u.Data[len(u.Data)-1] ^= 1 }), false, ours, bad},
		"more data":              {"db", with(func(u *efi.Update) { u.Data = append(u.Data, 0) }), false, ours, bad},
		"no data":                {"db", with(func(u *efi.Update) { u.Data = nil }), false, ours, bad},
		"another signature":      {"db", with(func(u *efi.Update) { u.PKCS7[len(u.PKCS7)-1] ^= 1 }), false, ours, bad},
		"no signature":           {"db", with(func(u *efi.Update) { u.PKCS7 = nil }), false, ours, "not a DER sequence"},
		"byte after signature":   {"db", with(func(u *efi.Update) { u.PKCS7 = append(u.PKCS7, 0) }), false, ours, "1 bytes follow"},
		"by another":             {"db", good, false, []*x509.Certificate{other.Certificate}, "a signer that is none of those asked for"},
		"by nobody":              {"db", good, false, nil, "a signer that is none of those asked for"},
		"by another of one name": {"db", good, false, []*x509.Certificate{twin.Certificate}, bad},
	} {
		cert, err := secureboot.VerifyUpdate(test.variable, test.u, test.appending, test.by...)
		if cert != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, error %v, want one with %q", name, cert, err, test.want)
		}
	}
	// Beside a namesake the right one is found.
	if cert, err := secureboot.VerifyUpdate("db", good, false, twin.Certificate, kek.Certificate); err != nil || !cert.Equal(kek.Certificate) {
		t.Errorf("%v, %v", cert, err)
	}
}

func TestNewUpdateRefuses(t *testing.T) {
	t.Parallel()
	kek := makePair(t, "KEK")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	lists := listOf(t, kek.Certificate)
	short := []efi.List{{Type: efi.SHA256(), Entries: []efi.Entry{{Data: make([]byte, 31)}}}}
	now := secureboot.UpdateOptions{Time: when()}
	for name, test := range map[string]struct {
		variable string
		lists    []efi.List
		by       keys.Pair
		o        secureboot.UpdateOptions
		want     string
		hint     string
	}{
		"unknown variable":  {"MokList", lists, kek, now, `called "MokList"`, ""},
		"in lower case":     {"pk", lists, kek, now, `called "pk"`, "PK, KEK, db or dbx"},
		"no time":           {"db", lists, kek, secureboot.UpdateOptions{}, "firmware knows no such time", ""},
		"too early":         {"db", lists, kek, secureboot.UpdateOptions{Time: time.Date(1899, 1, 1, 0, 0, 0, 0, time.UTC)}, "knows no such time", ""},
		"too late":          {"db", lists, kek, secureboot.UpdateOptions{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "knows no such time", ""},
		"nothing to append": {"dbx", nil, kek, secureboot.UpdateOptions{Append: true}, "nothing to append", ""},
		"a short hash":      {"dbx", short, kek, now, "entries of 47 bytes", ""},
		"an ECDSA key":      {"db", lists, certify(t, "EC", ec), now, "RSA keys only", "RSA key of 2048 bits"},
		"no key":            {"db", lists, keys.Pair{Certificate: kek.Certificate}, now, `the key of "CN=KEK" is not given`, ""},
		"no certificate":    {"db", lists, keys.Pair{}, now, "no certificate is given", ""},
	} {
		_, err := secureboot.NewUpdate(test.variable, test.lists, test.by, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, test.want)
		}
		if advice := strings.Join(hint.Of(err), ""); !strings.Contains(advice, test.hint) {
			t.Errorf("%s: hint %q, want %q", name, advice, test.hint)
		}
	}
}

// Firmware takes SHA-256 only, however good another signature is.
func TestVerifyUpdateRefusesOtherDigests(t *testing.T) {
	t.Parallel()
	kek := makePair(t, "KEK")
	u, err := secureboot.NewUpdate("db", listOf(t, kek.Certificate), kek, secureboot.UpdateOptions{Time: when()})
	if err != nil {
		t.Fatal(err)
	}
	// The names of SHA-256 and SHA-512 differ in their last byte.
	u.PKCS7 = bytes.ReplaceAll(u.PKCS7, []byte("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), []byte("\x60\x86\x48\x01\x65\x03\x04\x02\x03"))
	h := crypto.SHA512.New()
	h.Write(u.Content("db", efi.ImageSecurity(), efi.KeyAttributes))
	signature, err := kek.Signer.Sign(nil, h.Sum(nil), crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	copy(u.PKCS7[len(u.PKCS7)-len(signature):], signature)
	if _, err := secureboot.VerifyUpdate("db", u, false, kek.Certificate); err == nil || errors.Is(err, cms.ErrSignature) || !strings.Contains(err.Error(), "SHA-512") {
		t.Errorf("error %v", err)
	}
}
