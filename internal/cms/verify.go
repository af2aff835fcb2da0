package cms

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrOtherSigner says that a message names another certificate as its signer's
// than the one it was verified with.
var ErrOtherSigner = errors.New("the signature names another certificate as its signer")

// Verify says whether the key of cert, and no other, signed content. The signer
// that the message names must be cert by issuer and serial number (else
// [ErrOtherSigner]); the key is cert's own, never one from the message's
// certificates (a wrong signature is [ErrSignature]). Dates, key usage and
// whether cert deserves trust are the caller's to judge.
func (s *SignedData) Verify(content []byte, cert *x509.Certificate) error {
	if !s.names(cert) {
		return fmt.Errorf("verifying with certificate %q: %w", cert.Subject, ErrOtherSigner)
	}
	kind, err := schemeOf(cert.PublicKey)
	if err != nil {
		return fmt.Errorf("verifying with certificate %q: %w", cert.Subject, err)
	}
	if kind != s.scheme {
		return fmt.Errorf("verifying with certificate %q: the signature is %v, the key %v", cert.Subject, s.scheme, kind)
	}
	if err := checkSignature(cert.PublicKey, s.Digest, sumOf(s.Digest, content), s.Signature); err != nil {
		return fmt.Errorf("verifying with certificate %q: %w", cert.Subject, err)
	}
	return nil
}

// Signer returns the embedded certificate that the message names as its
// signer's, or nil if it brings none. It is good for telling a person who claims
// to have signed, and for nothing else.
func (s *SignedData) Signer() *x509.Certificate {
	for _, cert := range s.Certificates {
		if s.names(cert) {
			return cert
		}
	}
	return nil
}

func (s *SignedData) names(cert *x509.Certificate) bool {
	return bytes.Equal(s.rawIssuer, cert.RawIssuer) && cert.SerialNumber != nil && s.Serial.Cmp(cert.SerialNumber) == 0
}
