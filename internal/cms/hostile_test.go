package cms_test

import (
	"bytes"
	"encoding/asn1"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"inlay/internal/cms"
)

// message is the DER of each part of a SignedData, so that a test can break one.
type message struct {
	digests      [][]byte
	certificates [][]byte
	afterCerts   []byte
	signers      [][]byte
	afterSigners []byte
	afterSigned  []byte
	afterBody    []byte
}

// signerInfo is the same for the one signer.
type signerInfo struct {
	issuer, serial, digest, algorithm, signature, tail []byte
}

func (s signerInfo) der(t *testing.T) []byte {
	t.Helper()
	return sequence(t, casn1.SEQUENCE, []byte{2, 1, 1}, sequence(t, casn1.SEQUENCE, s.issuer, s.serial), s.digest, s.algorithm, s.signature, s.tail)
}

func (m message) der(t *testing.T) []byte {
	t.Helper()
	signed := sequence(t, casn1.SEQUENCE,
		[]byte{2, 1, 1},
		sequence(t, casn1.SET, m.digests...),
		sequence(t, casn1.SEQUENCE, oid(t, 1, 2, 840, 113549, 1, 7, 1)),
		sequence(t, casn1.Tag(0).ContextSpecific().Constructed(), m.certificates...),
		m.afterCerts,
		sequence(t, casn1.SET, m.signers...),
		m.afterSigners,
	)
	return sequence(t, casn1.SEQUENCE, oid(t, 1, 2, 840, 113549, 1, 7, 2),
		sequence(t, casn1.Tag(0).ContextSpecific().Constructed(), signed, m.afterSigned), m.afterBody)
}

func sequence(t *testing.T, tag casn1.Tag, parts ...[]byte) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(parts, nil)) })
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func oid(t *testing.T, arcs ...int) []byte {
	t.Helper()
	der, err := asn1.Marshal(asn1.ObjectIdentifier(arcs))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseRefusesHostileParts(t *testing.T) {
	t.Parallel()
	cert := certificate(t, "p256")
	null := []byte{5, 0}
	sha256 := sequence(t, casn1.SEQUENCE, oid(t, 2, 16, 840, 1, 101, 3, 4, 2, 1), null)
	sha512 := sequence(t, casn1.SEQUENCE, oid(t, 2, 16, 840, 1, 101, 3, 4, 2, 3), null)
	ecdsa := oid(t, 1, 2, 840, 10045, 4, 3, 2)
	attribute := sequence(t, casn1.SEQUENCE, oid(t, 1, 2, 3), sequence(t, casn1.SET, null))

	tests := map[string]struct {
		damage func(m *message, s *signerInfo)
		want   string // empty: it must be accepted
	}{
		"nothing broken":      {func(*message, *signerInfo) {}, ""},
		"no digest algorithm": {func(m *message, _ *signerInfo) { m.digests = nil }, "algorithm is malformed"},
		"two digests":         {func(m *message, _ *signerInfo) { m.digests = [][]byte{sha256, sha512} }, "more than one digest"},
		"digests disagree":    {func(m *message, _ *signerInfo) { m.digests = [][]byte{sha512} }, "the message declares SHA-512"},
		"digest parameters": {func(m *message, _ *signerInfo) {
			m.digests = [][]byte{sequence(t, casn1.SEQUENCE, oid(t, 2, 16, 840, 1, 101, 3, 4, 2, 1), []byte{4, 0})}
		}, "has parameters"},
		"17 certificates":        {func(m *message, _ *signerInfo) { m.certificates = bytesTimes(cert.Raw, 17) }, "more than 16"},
		"junk certificate":       {func(m *message, _ *signerInfo) { m.certificates = [][]byte{{0x30, 0}} }, "embedded certificate 1"},
		"attribute cert":         {func(m *message, _ *signerInfo) { m.certificates = [][]byte{{0xa1, 0}} }, "set of certificates is malformed"},
		"revocation list":        {func(m *message, _ *signerInfo) { m.afterCerts = []byte{0xa1, 0} }, "revocation list"},
		"no signer":              {func(m *message, _ *signerInfo) { m.signers = [][]byte{} }, "no signer"},
		"signer twice":           {func(m *message, s *signerInfo) { m.signers = bytesTimes(s.der(t), 2) }, "more than one signer"},
		"junk after signers":     {func(m *message, _ *signerInfo) { m.afterSigners = null }, "set of signers is malformed"},
		"junk after signed data": {func(m *message, _ *signerInfo) { m.afterSigned = null }, "signed data is malformed"},
		"junk after the body":    {func(m *message, _ *signerInfo) { m.afterBody = null }, "content of the message is malformed"},
		"junk after serial":      {func(_ *message, s *signerInfo) { s.serial = append([]byte{2, 1, 1}, null...) }, "name is malformed"},
		"negative serial":        {func(_ *message, s *signerInfo) { s.serial = []byte{2, 1, 0xff} }, "negative"},
		"padded serial":          {func(_ *message, s *signerInfo) { s.serial = []byte{2, 2, 0, 1} }, "name is malformed"},
		"issuer of junk":         {func(_ *message, s *signerInfo) { s.issuer = []byte{0x30, 2, 5, 0} }, "issuer is malformed"},
		"signed attributes": {func(_ *message, s *signerInfo) {
			s.digest = append(bytes.Clone(s.digest), sequence(t, 0xa0, attribute)...)
		}, "signed attributes"},
		"no signed attributes": {func(_ *message, s *signerInfo) { s.digest = append(bytes.Clone(s.digest), 0xa0, 0) }, "signed attributes"},
		"unsigned attributes":  {func(_ *message, s *signerInfo) { s.tail = sequence(t, 0xa1, attribute) }, "unsigned attributes"},
		"junk after signature": {func(_ *message, s *signerInfo) { s.tail = null }, "bytes follow"},
		"ECDSA parameters":     {func(_ *message, s *signerInfo) { s.algorithm = sequence(t, casn1.SEQUENCE, ecdsa, null) }, "has parameters"},
		"ECDSA over SHA-512": {func(_ *message, s *signerInfo) {
			s.algorithm = sequence(t, casn1.SEQUENCE, oid(t, 1, 2, 840, 10045, 4, 3, 4))
		}, "signature algorithm 1.2.840.10045.4.3.4"},
		"Ed25519":            {func(_ *message, s *signerInfo) { s.algorithm = sequence(t, casn1.SEQUENCE, oid(t, 1, 3, 101, 112)) }, "signature algorithm 1.3.101.112"},
		"empty signature":    {func(_ *message, s *signerInfo) { s.signature = []byte{4, 0} }, "signature itself is malformed"},
		"constructed string": {func(_ *message, s *signerInfo) { s.signature = []byte{0x24, 3, 4, 1, 1} }, "signature itself is malformed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := signerInfo{
				issuer:    cert.RawIssuer,
				serial:    []byte{2, 1, 1},
				digest:    sha256,
				algorithm: sequence(t, casn1.SEQUENCE, ecdsa),
				signature: []byte{4, 1, 1},
			}
			m := message{digests: [][]byte{sha256}, certificates: [][]byte{cert.Raw}}
			test.damage(&m, &s)
			if m.signers == nil {
				m.signers = [][]byte{s.der(t)}
			}
			_, err := cms.Parse(m.der(t))
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func bytesTimes(b []byte, n int) [][]byte {
	many := make([][]byte, n)
	for i := range many {
		many[i] = b
	}
	return many
}
