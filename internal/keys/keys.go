// Package keys makes and reads what signs an extension: a private key and the
// certificate that goes with it, from two PEM files or from a program that
// stands in front of a hardware module or a key service.
//
// It reads RSA keys of 2048 to 4096 bits and ECDSA keys on P-256 and P-384, in
// PKCS #8, PKCS #1 or SEC 1; firmware, the kernel and systemd all take these.
// Left out on purpose: encrypted keys (a build has nobody to type a password;
// the external signer is the way to a guarded key), Ed25519 (PKCS #7 in the
// kernel does not know it), DER and PKCS #12 files, chains of certificates, and
// any opinion on who is trusted. No error of this package quotes what a key file
// holds.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"inlay/internal/hint"
)

// The sizes of RSA keys that firmware and kernels take, in bits.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

const acceptedHint = "use an RSA key of 2048 to 4096 bits, or ECDSA on P-256 or P-384; inlay keys create makes one"

// Pair is a signer and its certificate; their public keys are the same.
type Pair struct {
	Certificate *x509.Certificate
	Signer      crypto.Signer
	// Warning is one line about the way the key is kept, or empty.
	Warning string
}

// publicKey is what every public key of the standard library can do.
type publicKey interface {
	Equal(x crypto.PublicKey) bool
}

// checkPublic refuses keys that a part of the chain to the kernel would not take.
func checkPublic(pub crypto.PublicKey) error {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return hint.Wrap(fmt.Errorf("an RSA key of %d bits is not accepted", bits), acceptedHint)
		}
		return nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
		return hint.Wrap(fmt.Errorf("an ECDSA key on %s is not accepted", key.Curve.Params().Name), acceptedHint)
	default:
		return hint.Wrap(errors.New("a key that is neither RSA nor ECDSA is not accepted"), acceptedHint)
	}
}

// matches says whether two public keys are the same key.
func matches(a, b crypto.PublicKey) bool {
	key, ok := a.(publicKey)
	return ok && key.Equal(b)
}
