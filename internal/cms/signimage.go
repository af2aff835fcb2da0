package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignImage signs the EFI program whose SHA-256 digest, reckoned as Authenticode
// wants it, is digest. The message brings cert, and the certificates in extra:
// those between cert and the one that firmware trusts. The time of signing is not
// in it, so that the same input has the same bytes twice. Firmware is sure to know
// RSA only, so that other keys are refused.
func SignImage(digest [32]byte, cert *x509.Certificate, key crypto.Signer, extra ...*x509.Certificate) ([]byte, error) {
	if err := checkFirmware(cert); err != nil {
		return nil, err
	}
	d := digests()[0]
	content, err := build(func(b *cryptobyte.Builder) { addIndirect(b, d, digest[:]) })
	if err != nil {
		return nil, err
	}
	attributes, err := makeAttributes(sumOf(d.hash, content))
	if err != nil {
		return nil, err
	}
	set, err := build(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
	})
	if err != nil {
		return nil, err
	}
	signature, err := makeSignature(set, cert, key)
	if err != nil {
		return nil, err
	}
	certs, err := certificateSet(cert, extra)
	if err != nil {
		return nil, err
	}
	der, err := build(func(b *cryptobyte.Builder) {
		addContentInfo(b, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // SignedData
				b.AddASN1Int64(1)
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, d.oid, true) })
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidIndirectData())
					b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
						b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(content) })
					})
				})
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(certs) })
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { addSigner(b, d, schemeRSA, attributes, signature, cert) })
			})
		})
	})
	if err != nil {
		return nil, err
	}
	if len(der) > MaxSize {
		return nil, fmt.Errorf("assembling a signature: %d bytes are too many: at most %d are accepted", len(der), MaxSize)
	}
	return der, nil
}

// addIndirect adds the inside of an SpcIndirectDataContent. Of the program itself
// Authenticode has nothing to say any more: its flags are none, and the text of
// its link is the one that the format prescribes.
func addIndirect(b *cryptobyte.Builder, d digest, sum []byte) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidImageData())
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // SpcPeImageData
			b.AddASN1(casn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddUint8(0) })
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				b.AddASN1(explicit(2), func(b *cryptobyte.Builder) {
					b.AddASN1(casn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) {
						for _, c := range []byte("<<<Obsolete>>>") {
							b.AddUint16(uint16(c))
						}
					})
				})
			})
		})
	})
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { // DigestInfo
		addAlgorithm(b, d.oid, true)
		b.AddASN1OctetString(sum)
	})
}

// certificateSet returns the inside of the set of certificates, in DER's order.
func certificateSet(cert *x509.Certificate, extra []*x509.Certificate) ([]byte, error) {
	all := [][]byte{cert.Raw}
	for _, c := range extra {
		if !slices.ContainsFunc(all, func(raw []byte) bool { return bytes.Equal(raw, c.Raw) }) {
			all = append(all, c.Raw)
		}
	}
	if len(all) > maxCertificates {
		return nil, fmt.Errorf("assembling a signature: more than %d certificates", maxCertificates)
	}
	if slices.ContainsFunc(all, func(raw []byte) bool { return len(raw) == 0 }) {
		return nil, errors.New("assembling a signature: a certificate is empty")
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil), nil
}
