package cms

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"inlay/internal/hint"
)

// SignBare signs content as firmware wants updates of its variables signed (UEFI
// 2.10, section 8.2.2): as [Sign] does, but the SignedData stands alone, without
// the ContentInfo around it, which older firmware does not take. Firmware is sure
// to know RSA only, so that other keys are refused.
func SignBare(content []byte, cert *x509.Certificate, key crypto.Signer) ([]byte, error) {
	if err := checkFirmware(cert); err != nil {
		return nil, err
	}
	signature, err := makeSignature(content, cert, key)
	if err != nil {
		return nil, err
	}
	return build(func(b *cryptobyte.Builder) { addDetached(b, schemeRSA, signature, cert) })
}

// ParseBare reads what SignBare writes, and the same within a ContentInfo, which
// newer firmware takes too. It is as strict as [Parse].
func ParseBare(der []byte) (*SignedData, error) {
	signed, err := unwrap(der, either)
	if err != nil {
		return nil, fmt.Errorf("reading PKCS #7 signature: %w", err)
	}
	s, err := parseSignedData(signed)
	if errors.Is(err, errAttributes) {
		// sbvarsign 0.9.4 signs attributes, and wide characters of 4 bytes besides.
		err = hint.Wrap(err, "make the update with sign-efi-sig-list of efitools, or inlay keys; sbvarsign signs what no firmware takes")
	}
	if err != nil {
		return nil, fmt.Errorf("reading PKCS #7 signature: %w", err)
	}
	return s, nil
}

// checkFirmware refuses keys that firmware need not know.
func checkFirmware(cert *x509.Certificate) error {
	if _, ok := cert.PublicKey.(*rsa.PublicKey); !ok {
		return hint.Wrap(errors.New("signing for firmware: it is sure to take RSA keys only"), "sign with an RSA key of 2048 bits")
	}
	return nil
}
