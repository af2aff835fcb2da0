package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/trust"
)

const content = "content"

func TestJudge(t *testing.T) {
	t.Parallel()
	a, b, other := signer(t, "a"), signer(t, "b"), signer(t, "other")
	sameName := signer(t, "a")
	hostile := signer(t, "x\x1b[2J\nrefused: no")
	noName := signer(t, "")
	set := load(t, trust.Options{Given: given(a.cert, b.cert)})

	tests := map[string]struct {
		set      *trust.Set
		signed   *cms.SignedData
		content  string
		standing trust.Standing
		reason   string
		anchor   *x509.Certificate
		signer   *x509.Certificate
	}{
		"anchor":             {set, message(t, content, a, a.cert), content, trust.Trusted, "signed by CN=a (test)", a.cert, a.cert},
		"second anchor":      {set, message(t, content, b, b.cert), content, trust.Trusted, "CN=b", b.cert, b.cert},
		"brings no certs":    {set, message(t, content, a), content, trust.Trusted, "CN=a", a.cert, a.cert},
		"brings other certs": {set, message(t, content, a, other.cert, a.cert, b.cert), content, trust.Trusted, "CN=a", a.cert, a.cert},
		"brings only others": {set, message(t, content, a, other.cert), content, trust.Trusted, "CN=a", a.cert, a.cert},
		"stranger": {
			set, message(t, content, other, other.cert), content, trust.Unknown,
			"signed by CN=other, which is none of the 2 trusted keys", nil, other.cert,
		},
		"stranger, one anchor": {
			load(t, trust.Options{Given: given(a.cert)}), message(t, content, other, other.cert), content, trust.Unknown,
			"which is not the one trusted key", nil, other.cert,
		},
		"stranger without certs": {set, message(t, content, other), content, trust.Unknown, "signed by serial number", nil, nil},
		"stranger of a trusted name": {
			set, message(t, content, sameName, sameName.cert), content, trust.Unknown,
			"test has the same name", nil, sameName.cert,
		},
		"stranger that brings an anchor": {set, message(t, content, other, a.cert, other.cert), content, trust.Unknown, "CN=other", nil, other.cert},
		"hostile name":                   {set, message(t, content, hostile, hostile.cert), content, trust.Unknown, "CN=x�", nil, hostile.cert},
		"no name":                        {set, message(t, content, noName, noName.cert), content, trust.Unknown, "a certificate without a name", nil, noName.cert},
		"other content":                  {set, message(t, content, a, a.cert), "other", trust.Bad, "the signature is broken: CN=a did not sign this", nil, a.cert},
		"other content, no certs":        {set, message(t, content, a), "other", trust.Bad, "the signature is broken", nil, nil},
		"other content, stranger":        {set, message(t, content, other, other.cert), "other", trust.Bad, "the signature is broken: CN=other", nil, other.cert},
		"no anchors":                     {load(t, trust.Options{}), message(t, content, a, a.cert), content, trust.Unknown, "no key is trusted here", nil, a.cert},
		"zero set":                       {new(trust.Set), message(t, content, a, a.cert), content, trust.Unknown, "no key is trusted here", nil, a.cert},
		"nil set":                        {nil, message(t, content, a, a.cert), content, trust.Unknown, "no key is trusted here", nil, a.cert},
		"no signature":                   {set, nil, content, trust.Unknown, "there is no signature", nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := test.set.Judge(test.signed, []byte(test.content), trust.JudgeOptions{})
			checkJudgement(t, j, test.standing, test.reason)
			if got := anchorOf(j); !equal(got, test.anchor) {
				t.Errorf("anchor %v", got)
			}
			if !equal(j.Signer, test.signer) {
				t.Errorf("signer %v", j.Signer)
			}
		})
	}
}

func anchorOf(j trust.Judgement) *x509.Certificate {
	if j.Anchor == nil {
		return nil
	}
	return j.Anchor.Certificate
}

func equal(a, b *x509.Certificate) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(b)
}

// Whoever makes a certificate chooses its issuer and serial number.
func TestJudgeTwins(t *testing.T) {
	t.Parallel()
	serial := func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1) }
	first, second, third := signer(t, "twin", serial), signer(t, "twin", serial), signer(t, "twin", serial)
	// Another certificate of the first's key, issuer and serial number.
	again := certify(t, "twin", identity{}, identity{key: first.key}, serial, func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, 0, -1) })

	tests := map[string]struct {
		anchors  []*x509.Certificate
		signed   *cms.SignedData
		standing trust.Standing
		reason   string
		anchor   *x509.Certificate
	}{
		"forged, brings its own":        {certs(first), message(t, content, second, second.cert), trust.Bad, "another certificate under the issuer and serial number of CN=twin (test)", nil},
		"forged, brings the anchor":     {certs(first), message(t, content, second, first.cert), trust.Bad, "the signature is broken", nil},
		"forged, brings both":           {certs(first), message(t, content, second, first.cert, second.cert), trust.Bad, "two different certificates", nil},
		"forged, brings both, reversed": {certs(first), message(t, content, second, second.cert, first.cert), trust.Bad, "two different certificates", nil},
		"forged, brings nothing":        {certs(first), message(t, content, second), trust.Bad, "the signature is broken", nil},
		"right key, brings the other":   {certs(first), message(t, content, first, second.cert), trust.Bad, "another certificate", nil},
		"right key, brings both":        {certs(first), message(t, content, first, first.cert, second.cert), trust.Bad, "two different certificates", nil},
		"both trusted, first signs":     {certs(first, second), message(t, content, first), trust.Trusted, "CN=twin", first.cert},
		"both trusted, second signs":    {certs(first, second), message(t, content, second), trust.Trusted, "CN=twin", second.cert},
		"both trusted, second brings":   {certs(first, second), message(t, content, second, second.cert), trust.Trusted, "CN=twin", second.cert},
		"both trusted, brings wrong":    {certs(first, second), message(t, content, second, first.cert), trust.Bad, "broken", nil},
		"both trusted, third signs":     {certs(first, second), message(t, content, third), trust.Bad, "broken", nil},
		"one key, old brought":          {certs(first, again), message(t, content, first, again.cert), trust.Expired, "expired on 2026-11-20", again.cert},
		"one key, new brought":          {certs(again, first), message(t, content, first, first.cert), trust.Trusted, "CN=twin", first.cert},
		"one key, none brought":         {certs(again, first), message(t, content, first), trust.Trusted, "CN=twin", first.cert},
		"one key, only old trusted":     {certs(again), message(t, content, first, first.cert), trust.Bad, "another certificate", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, chains := range []bool{false, true} {
				set := load(t, trust.Options{Given: given(test.anchors...), Chains: chains})
				j := set.Judge(test.signed, []byte(content), trust.JudgeOptions{RequireValidDates: true, Now: now()})
				checkJudgement(t, j, test.standing, test.reason)
				if got := anchorOf(j); !equal(got, test.anchor) {
					t.Errorf("anchor %v", got)
				}
			}
		})
	}
}

func certs(ids ...identity) []*x509.Certificate {
	var list []*x509.Certificate
	for _, id := range ids {
		list = append(list, id.cert)
	}
	return list
}

func TestJudgeDates(t *testing.T) {
	t.Parallel()
	a := signer(t, "a")
	set := load(t, trust.Options{Given: given(a.cert)})
	signed := message(t, content, a, a.cert)
	tests := map[string]struct {
		options  trust.JudgeOptions
		standing trust.Standing
		reason   string
	}{
		"valid":               {trust.JudgeOptions{RequireValidDates: true, Now: now()}, trust.Trusted, "CN=a"},
		"first second":        {trust.JudgeOptions{RequireValidDates: true, Now: a.cert.NotBefore}, trust.Trusted, ""},
		"last second":         {trust.JudgeOptions{RequireValidDates: true, Now: a.cert.NotAfter}, trust.Trusted, ""},
		"too early":           {trust.JudgeOptions{RequireValidDates: true, Now: a.cert.NotBefore.Add(-1)}, trust.Expired, "is not valid before 2025-11-21T10:00:00Z"},
		"too late":            {trust.JudgeOptions{RequireValidDates: true, Now: a.cert.NotAfter.Add(1)}, trust.Expired, "expired on 2027-11-21T10:00:00Z"},
		"no clock":            {trust.JudgeOptions{RequireValidDates: true}, trust.Expired, "is not valid before"},
		"late, nobody minds":  {trust.JudgeOptions{Now: now().AddDate(9, 0, 0)}, trust.Trusted, ""},
		"early, nobody minds": {trust.JudgeOptions{}, trust.Trusted, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkJudgement(t, set.Judge(signed, []byte(content), test.options), test.standing, test.reason)
		})
	}
}

// What is an anchor is what internal/cms verifies with, key by key.
func TestKeys(t *testing.T) {
	t.Parallel()
	key := func(key crypto.Signer, err error) crypto.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	tests := map[string]struct {
		key  crypto.Signer
		good bool
	}{
		"RSA 2048": {key(rsa.GenerateKey(rand.Reader, 2048)), true},
		"RSA 1024": {key(rsa.GenerateKey(rand.Reader, 1024)), false},
		"P-224":    {key(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)), false},
		"P-256":    {key(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), true},
		"P-384":    {key(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), true},
		"P-521":    {key(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)), true},
		"Ed25519":  {ed25519Key(t), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := certify(t, "a", identity{}, identity{key: test.key})
			set := load(t, trust.Options{Given: given(id.cert)})
			der, err := cms.Sign([]byte(content), id.cert, id.key)
			if good := err == nil; good != test.good || good != (cms.CheckKey(id.key.Public()) == nil) {
				t.Errorf("internal/cms: %v, %v", err, cms.CheckKey(id.key.Public()))
			}
			if !test.good {
				checkLines(t, set, "test: CN=a has an ")
				if len(set.Anchors) > 0 {
					t.Error("an anchor")
				}
				return
			}
			checkLines(t, set)
			checkJudgement(t, set.Judge(parse(t, der), []byte(content), trust.JudgeOptions{}), trust.Trusted, "")
		})
	}
}

// A message may bring a certificate that can't have made its signature.
func TestJudgeKeyOfAnotherKind(t *testing.T) {
	t.Parallel()
	serial := func(c *x509.Certificate) { c.SerialNumber = big.NewInt(1) }
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	made, brought := certify(t, "twin", identity{}, identity{key: key}, serial), signer(t, "twin", serial)
	j := load(t, trust.Options{Chains: true}).Judge(message(t, content, made, brought.cert), []byte(content), trust.JudgeOptions{})
	checkJudgement(t, j, trust.Bad, `the signature is broken: verifying with certificate "CN=twin": the signature is RSA, the key ECDSA`)
}

func TestLongNamesAreCut(t *testing.T) {
	t.Parallel()
	long := signer(t, "", func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: strings.Repeat("é", 5000)}
	})
	j := load(t, trust.Options{}).Judge(message(t, content, long, long.cert), []byte(content), trust.JudgeOptions{})
	if len(j.Reason) > 1000 {
		t.Errorf("a reason of %d bytes", len(j.Reason))
	}
}
