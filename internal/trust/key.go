package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
)

// The sizes of RSA keys in bits that internal/cms verifies with. A test holds
// checkKey to it.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// checkKey says why no signature can be verified with pub, in words that follow
// "an"; nil if it can.
func checkKey(pub crypto.PublicKey) error {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("RSA key of %d bits (%d to %d count)", bits, minRSABits, maxRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return errors.New("ECDSA key on a curve other than P-256, P-384 and P-521")
	}
	return errors.New("unsupported key, neither RSA nor ECDSA")
}
