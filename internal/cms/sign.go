package cms

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Sign signs content with key, whose certificate is cert, and returns the
// message in DER. The digest is SHA-256 for every key. RSA signatures (PKCS #1
// v1.5) and ECDSA signatures by keys of the standard library (RFC 6979) depend
// on their input alone, so that the same image has the same bytes twice; a
// signer outside the process may not hold to that.
//
// The signature is verified with the certificate before it is returned.
func Sign(content []byte, cert *x509.Certificate, key crypto.Signer) ([]byte, error) {
	signature, err := makeSignature(content, cert, key)
	if err != nil {
		return nil, err
	}
	return Assemble(signature, cert)
}

// makeSignature signs content and checks what came out.
func makeSignature(content []byte, cert *x509.Certificate, key crypto.Signer) ([]byte, error) {
	if err := CheckKey(cert.PublicKey); err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	hash := digests()[0].hash
	sum := sumOf(hash, content)
	// A nil reader asks crypto/ecdsa for the deterministic signature; RSA does
	// not use it in PKCS #1 v1.5.
	signature, err := key.Sign(nil, sum, hash)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if err := checkSignature(cert.PublicKey, hash, sum, signature); err != nil {
		return nil, fmt.Errorf("checking the new signature with certificate %q: %w", cert.Subject, err)
	}
	return signature, nil
}

// Assemble wraps a signature that was made elsewhere into a message: for RSA
// the PKCS #1 v1.5 signature, for ECDSA the DER of r and s, over the SHA-256
// digest of the content. The content is not known here, so only the shape of
// the signature is checked: parse the result and verify it.
func Assemble(signature []byte, cert *x509.Certificate) ([]byte, error) {
	kind, err := schemeOf(cert.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("assembling a signature: %w", err)
	}
	if err := checkShape(signature, cert.PublicKey); err != nil {
		return nil, fmt.Errorf("assembling a signature: %w", err)
	}
	return build(func(b *cryptobyte.Builder) {
		addContentInfo(b, func(b *cryptobyte.Builder) { addDetached(b, kind, signature, cert) })
	})
}

// build returns what add adds.
func build(add cryptobyte.BuilderContinuation) ([]byte, error) {
	var b cryptobyte.Builder
	add(&b)
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("assembling a signature: %w", err)
	}
	return der, nil
}

// addContentInfo adds a ContentInfo around a SignedData.
func addContentInfo(b *cryptobyte.Builder, signedData cryptobyte.BuilderContinuation) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidSignedData())
		b.AddASN1(explicit(0), signedData)
	})
}

// addDetached adds a SignedData without content and attributes.
func addDetached(b *cryptobyte.Builder, kind scheme, signature []byte, cert *x509.Certificate) {
	d := digests()[0]
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
			addAlgorithm(b, d.oid, true)
		})
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidData()) // detached: no content follows
		})
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddBytes(cert.Raw)
		})
		b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
			addSigner(b, d, kind, nil, signature, cert)
		})
	})
}

// addSigner adds the only SignerInfo of the message; attributes are those that
// are signed, as they stand in their set, or nil.
func addSigner(b *cryptobyte.Builder, d digest, kind scheme, attributes, signature []byte, cert *x509.Certificate) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(cert.RawIssuer)
			b.AddASN1BigInt(cert.SerialNumber)
		})
		addAlgorithm(b, d.oid, true)
		if attributes != nil {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(attributes) })
		}
		if kind == schemeRSA {
			// The bare rsaEncryption, not sha256WithRSAEncryption: the kernel's
			// parser knows only the former for PKCS #7.
			addAlgorithm(b, oidRSA(), true)
		} else {
			addAlgorithm(b, d.withECDSA, false)
		}
		b.AddASN1OctetString(signature)
	})
}

// addAlgorithm adds an AlgorithmIdentifier whose parameters are NULL or absent.
func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, null bool) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		if null {
			b.AddASN1NULL()
		}
	})
}

// checkShape says whether signature can be one by the key pub at all.
func checkShape(signature []byte, pub crypto.PublicKey) error {
	if key, ok := pub.(*rsa.PublicKey); ok {
		if len(signature) != key.Size() {
			return fmt.Errorf("an RSA signature of %d bytes: this key makes %d", len(signature), key.Size())
		}
		return nil
	}
	var r, s big.Int
	var pair cryptobyte.String
	input := cryptobyte.String(signature)
	if !input.ReadASN1(&pair, casn1.SEQUENCE) || !input.Empty() ||
		!pair.ReadASN1Integer(&r) || !pair.ReadASN1Integer(&s) || !pair.Empty() ||
		r.Sign() <= 0 || s.Sign() <= 0 {
		return errors.New("an ECDSA signature that is not the DER of two positive numbers")
	}
	return nil
}

// explicit returns the context tag n of a constructed value.
func explicit(n uint8) casn1.Tag {
	return casn1.Tag(n).ContextSpecific().Constructed()
}

func sumOf(hash crypto.Hash, content []byte) []byte {
	h := hash.New()
	h.Write(content)
	return h.Sum(nil)
}
