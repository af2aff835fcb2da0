package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
)

// The sizes of RSA keys in bits. Below the lower bound a signature proves
// nothing; above the upper one a hostile certificate only costs time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// ErrSignature says that the signature was not made with the key over the content.
var ErrSignature = errors.New("the signature does not match the content and the key")

// CheckKey says why no signature here may depend on the key pub, in words that
// follow "an"; nil if one may. RSA keys have 2048 to 8192 bits, ECDSA keys lie on
// P-256, P-384 or P-521, and there are no others.
func CheckKey(pub crypto.PublicKey) error {
	_, err := schemeOf(pub)
	return err
}

// schemeOf says how the key pub signs.
func schemeOf(pub crypto.PublicKey) (scheme, error) {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return 0, fmt.Errorf("RSA key of %d bits (%d to %d are accepted)", bits, minRSABits, maxRSABits)
		}
		return schemeRSA, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return schemeECDSA, nil
		}
		return 0, errors.New("ECDSA key on a curve other than P-256, P-384 and P-521")
	default:
		return 0, errors.New("unsupported key, neither RSA nor ECDSA")
	}
}

// checkSignature verifies signature over sum, a digest made by hash.
func checkSignature(pub crypto.PublicKey, hash crypto.Hash, sum, signature []byte) error {
	if err := CheckKey(pub); err != nil {
		return err
	}
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(key, hash, sum, signature) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(key, sum, signature) {
			return nil
		}
	}
	return ErrSignature
}
