package cms

import (
	"encoding/asn1"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"inlay/internal/hint"
)

// readAlgorithm reads an AlgorithmIdentifier whose parameters are absent or
// NULL; null says which. No algorithm of this format has others.
func readAlgorithm(input *cryptobyte.String) (oid asn1.ObjectIdentifier, null bool, err error) {
	var algorithm, parameters cryptobyte.String
	if !input.ReadASN1(&algorithm, casn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) {
		return nil, false, errors.New("an algorithm is malformed")
	}
	if algorithm.Empty() {
		return oid, false, nil
	}
	if !algorithm.ReadASN1(&parameters, casn1.NULL) || !parameters.Empty() || !algorithm.Empty() {
		return nil, false, fmt.Errorf("algorithm %v has parameters: none are accepted", oid)
	}
	return oid, true, nil
}

// readDigest reads a digest algorithm. RFC 5754 section 2 wants both spellings
// understood, NULL parameters and absent ones; OpenSSL's smime writes the
// former and its cms the latter.
func readDigest(input *cryptobyte.String) (digest, error) {
	oid, _, err := readAlgorithm(input)
	if err != nil {
		return digest{}, err
	}
	for _, d := range digests() {
		if d.oid.Equal(oid) {
			return d, nil
		}
	}
	return digest{}, hint.Wrap(fmt.Errorf("digest algorithm %s: only SHA-256, SHA-384 and SHA-512 are accepted", nameOf(oid)),
		"sign with -md sha256")
}

// readScheme reads the signature algorithm of a signer whose digest is d. A
// name that joins scheme and digest must agree with d.
func readScheme(input *cryptobyte.String, d digest) (scheme, error) {
	oid, null, err := readAlgorithm(input)
	if err != nil {
		return 0, err
	}
	switch {
	case oid.Equal(oidRSA()), oid.Equal(d.withRSA):
		return schemeRSA, nil
	case oid.Equal(d.withECDSA):
		if null {
			return 0, fmt.Errorf("algorithm %v has parameters: RFC 5758 has none", oid)
		}
		return schemeECDSA, nil
	}
	return 0, fmt.Errorf("signature algorithm %v: only RSA (PKCS #1 v1.5) and ECDSA over %v are accepted", oid, d.hash)
}

// nameOf names the digests that people meet and that are refused.
func nameOf(oid asn1.ObjectIdentifier) string {
	switch oid.String() {
	case "1.3.14.3.2.26":
		return "SHA-1"
	case "1.2.840.113549.2.5":
		return "MD5"
	case "2.16.840.1.101.3.4.2.4":
		return "SHA-224"
	}
	return oid.String()
}
