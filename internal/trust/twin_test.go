package trust_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"

	"inlay/internal/efi"
	"inlay/internal/trust"
)

// twin is cert with the other signature (r, n-s) of its issuer's, which is as
// good: ECDSA has two for whatever is signed, and anybody can make one of the
// other.
func twin(t *testing.T, issuer, cert *x509.Certificate) *x509.Certificate {
	t.Helper()
	var outer struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(cert.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(outer.Signature.Bytes, &signature); err != nil {
		t.Fatal(err)
	}
	key, ok := issuer.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		t.Fatal("the issuer has no ECDSA key")
	}
	signature.S.Sub(key.Curve.Params().N, signature.S)
	b, err := asn1.Marshal(signature)
	if err != nil {
		t.Fatal(err)
	}
	outer.Signature = asn1.BitString{Bytes: b, BitLength: 8 * len(b)}
	der, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.CheckSignatureFrom(issuer); err != nil || other.Equal(cert) {
		t.Fatalf("not a twin: %v", err)
	}
	return other
}

// A certificate whose signature is written otherwise is the one that is revoked.
func TestRevokedTwin(t *testing.T) {
	t.Parallel()
	top := authority(t, "top", identity{})
	end, middle := leaf(t, top), authority(t, "middle", top)
	below := leaf(t, middle)
	endTwin, middleTwin := twin(t, top.cert, end.cert), twin(t, top.cert, middle.cert)
	tests := map[string]struct {
		dbx     string
		anchor  *x509.Certificate
		id      identity
		embed   []*x509.Certificate
		revoked bool
	}{
		"as issued":               {x509List(end.cert), top.cert, end, certs(end), true},
		"twin of the leaf":        {x509List(end.cert), top.cert, end, []*x509.Certificate{endTwin}, true},
		"dbx has the twin":        {x509List(endTwin), top.cert, end, certs(end), true},
		"twin of the issuer":      {x509List(middle.cert), top.cert, below, []*x509.Certificate{below.cert, middleTwin}, true},
		"twin is the anchor":      {x509List(end.cert), endTwin, identity{endTwin, end.key}, nil, true},
		"by hash":                 {esl(efi.X509SHA256(), tbs(crypto.SHA256, end.cert, string(make([]byte, 16)))), top.cert, end, []*x509.Certificate{endTwin}, true},
		"another of the same top": {x509List(end.cert), top.cert, below, []*x509.Certificate{below.cert, middleTwin}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, trust.Options{
				Root: firmware(t, map[string]string{"dbx": test.dbx}), Firmware: true, Chains: true, Given: given(test.anchor),
			})
			j := set.Judge(message(t, content, test.id, test.embed...), []byte(content), trust.JudgeOptions{})
			if test.revoked {
				checkJudgement(t, j, trust.Revoked, "the firmware's dbx revokes")
			} else {
				checkJudgement(t, j, trust.Trusted, "")
			}
		})
	}
}
