package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"inlay/internal/hint"
)

// MaxSize bounds a message, in bytes. One with a certificate takes about 2 KiB;
// this leaves room for a long chain and keeps hostile input cheap.
const MaxSize = 64 << 10

// maxCertificates bounds how many certificates are decoded.
const maxCertificates = 16

// SignedData is a parsed message. Everything in it is a claim until Verify says
// that a trusted certificate's key made the signature.
type SignedData struct {
	// Digest is the hash function over the content: SHA-256, SHA-384 or SHA-512.
	Digest crypto.Hash
	// Issuer and Serial name the signer's certificate.
	Issuer pkix.Name
	Serial *big.Int
	// Certificates are those that the message brings, in its order; often the
	// signer's alone, sometimes none.
	Certificates []*x509.Certificate
	// Signature is the bare signature.
	Signature []byte

	rawIssuer []byte
	scheme    scheme
}

// Parse reads a message in DER. It accepts only what the package comment
// describes, with nothing after it, at most 64 KiB and 16 certificates.
func Parse(der []byte) (*SignedData, error) {
	s, err := parse(der)
	if errors.Is(err, errAttributes) {
		err = hint.Wrap(err, "sign with -noattr")
	}
	if err != nil {
		return nil, fmt.Errorf("reading PKCS #7 signature: %w", err)
	}
	return s, nil
}

func parse(der []byte) (*SignedData, error) {
	signed, err := unwrap(der, wrapped)
	if err != nil {
		return nil, err
	}
	return parseSignedData(signed)
}

// wrapping says what may stand around a SignedData.
type wrapping int

const (
	wrapped wrapping = iota // a ContentInfo
	either                  // a ContentInfo, or nothing
)

// unwrap returns what is inside of the SignedData that der is.
func unwrap(der []byte, around wrapping) (cryptobyte.String, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%d bytes are too many: at most %d are accepted", len(der), MaxSize)
	}
	if bytes.HasPrefix(der, []byte("-----BEGIN")) || bytes.HasPrefix(der, []byte("MIME-Version:")) {
		return nil, hint.Wrap(errors.New("this is text, not DER"), "write the signature with -outform der")
	}
	input := cryptobyte.String(der)
	var info, body, signed cryptobyte.String
	var kind asn1.ObjectIdentifier
	switch {
	case !input.ReadASN1(&info, casn1.SEQUENCE):
		return nil, errors.New("not a DER sequence of a definite length")
	case !input.Empty():
		return nil, fmt.Errorf("%d bytes follow the message", len(input))
	case around == either && info.PeekASN1Tag(casn1.INTEGER):
		return info, nil // the version of a SignedData
	case !info.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidSignedData()):
		return nil, errors.New("not signed data")
	case !info.ReadASN1(&body, explicit(0)) || !info.Empty():
		return nil, errors.New("the content of the message is malformed")
	case !body.ReadASN1(&signed, casn1.SEQUENCE) || !body.Empty():
		return nil, errors.New("the signed data is malformed")
	}
	return signed, nil
}

func parseSignedData(signed cryptobyte.String) (*SignedData, error) {
	declared, err := readHead(&signed)
	if err != nil {
		return nil, err
	}
	if err := readDetached(&signed); err != nil {
		return nil, err
	}
	s, signer, err := readTail(signed, declared)
	if err != nil {
		return nil, err
	}
	if err := s.readSigner(signer, declared); err != nil {
		return nil, err
	}
	return s, nil
}

// readHead reads what comes before the content: the version, and the one digest
// algorithm.
func readHead(signed *cryptobyte.String) (digest, error) {
	var version int64
	if !signed.ReadASN1Integer(&version) {
		return digest{}, errors.New("the version is malformed")
	}
	if version != 1 {
		// Version 3 comes from signers named by key identifier, which systemd
		// does not understand.
		return digest{}, hint.Wrap(fmt.Errorf("version %d of signed data: only 1 is accepted", version), "sign without -keyid")
	}
	var algorithms cryptobyte.String
	if !signed.ReadASN1(&algorithms, casn1.SET) {
		return digest{}, errors.New("the set of digest algorithms is malformed")
	}
	declared, err := readDigest(&algorithms)
	if err != nil {
		return digest{}, err
	}
	if !algorithms.Empty() {
		return digest{}, errors.New("more than one digest algorithm: only one signer is accepted")
	}
	return declared, nil
}

// readTail reads what comes after the content: certificates, and the one signer,
// which is still to be read.
func readTail(signed cryptobyte.String, declared digest) (*SignedData, cryptobyte.String, error) {
	s := &SignedData{Digest: declared.hash}
	var err error
	if s.Certificates, err = readCertificates(&signed); err != nil {
		return nil, nil, err
	}
	if signed.PeekASN1Tag(explicit(1)) {
		return nil, nil, errors.New("a revocation list is not accepted in a signature")
	}
	var signers, signer cryptobyte.String
	if !signed.ReadASN1(&signers, casn1.SET) || !signed.Empty() {
		return nil, nil, errors.New("the set of signers is malformed")
	}
	if !signers.ReadASN1(&signer, casn1.SEQUENCE) {
		return nil, nil, errors.New("no signer")
	}
	if !signers.Empty() {
		return nil, nil, errors.New("more than one signer: only one is accepted")
	}
	return s, signer, nil
}

// readDetached reads the content part, which must name plain data and hold none.
// The kernel refuses content inside the message too.
func readDetached(signed *cryptobyte.String) error {
	var content cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !signed.ReadASN1(&content, casn1.SEQUENCE) || !content.ReadASN1ObjectIdentifier(&kind) {
		return errors.New("the content part is malformed")
	}
	if !kind.Equal(oidData()) {
		return fmt.Errorf("content of type %v: only plain data is accepted", kind)
	}
	if !content.Empty() {
		return hint.Wrap(errors.New("the signed content is inside the message: only detached signatures are accepted"),
			"sign without -nodetach")
	}
	return nil
}

func readCertificates(signed *cryptobyte.String) ([]*x509.Certificate, error) {
	var set cryptobyte.String
	var present bool
	if !signed.ReadOptionalASN1(&set, &present, explicit(0)) {
		return nil, errors.New("the set of certificates is malformed")
	}
	var certs []*x509.Certificate
	for !set.Empty() {
		if len(certs) == maxCertificates {
			return nil, fmt.Errorf("more than %d certificates", maxCertificates)
		}
		var raw cryptobyte.String
		if !set.ReadASN1Element(&raw, casn1.SEQUENCE) {
			return nil, errors.New("the set of certificates is malformed")
		}
		cert, err := x509.ParseCertificate(raw)
		if err != nil {
			return nil, fmt.Errorf("reading embedded certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	return certs, nil
}
