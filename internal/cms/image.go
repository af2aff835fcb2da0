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
)

const (
	// maxAttributes bounds how many signed attributes are read. Microsoft signs
	// six, others four.
	maxAttributes = 16
	// maxPadding is how many zero bytes may follow a signature in a program: its
	// place there takes a multiple of eight.
	maxPadding = 7
)

func oidIndirectData() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
}

func oidImageData() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
}

func oidContentType() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3} }

func oidMessageDigest() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
}

// ImageSignature is a parsed Authenticode signature of an EFI program. Everything
// in it is a claim until Verify says that a trusted certificate's key made it and
// the caller has found ImageDigest to be the program's.
type ImageSignature struct {
	// Digest is the hash function of ImageDigest: SHA-256, SHA-384 or SHA-512.
	Digest crypto.Hash
	// ImageDigest is the digest of the program that was signed.
	ImageDigest []byte
	// Issuer and Serial name the signer's certificate.
	Issuer pkix.Name
	Serial *big.Int
	// Certificates are those that the signature brings, in its order.
	Certificates []*x509.Certificate

	signed     *SignedData
	attributes []byte // what the signature is over: the DER of their set
}

// ParseImage reads an Authenticode signature (Microsoft's "Windows Authenticode
// Portable Executable Signature Format", 1.0) from the certificate table of an EFI
// program. As [Parse] it takes one signer, and nothing after the message but up to
// seven zero bytes, which fill its place in the table. That what is signed holds
// together is checked here: the attributes name the content's type and its digest,
// each once.
//
// Attributes that are not signed, such as time stamps, are passed over. So are
// signed ones that say what the program is for, and its publisher's name.
func ParseImage(der []byte) (*ImageSignature, error) {
	s, err := parseImage(der)
	if err != nil {
		return nil, fmt.Errorf("reading Authenticode signature: %w", err)
	}
	return s, nil
}

func parseImage(der []byte) (*ImageSignature, error) {
	signed, err := unwrap(unpad(der), wrapped)
	if err != nil {
		return nil, err
	}
	declared, err := readHead(&signed)
	if err != nil {
		return nil, err
	}
	content, err := readIndirect(&signed)
	if err != nil {
		return nil, err
	}
	image, err := readImageDigest(content, declared)
	if err != nil {
		return nil, err
	}
	s, signer, err := readTail(signed, declared)
	if err != nil {
		return nil, err
	}
	if err := s.readWho(&signer, declared); err != nil {
		return nil, err
	}
	attributes, err := readAttributes(&signer, sumOf(declared.hash, content))
	if err != nil {
		return nil, err
	}
	if err := s.readSignature(&signer, declared); err != nil {
		return nil, err
	}
	var unsigned cryptobyte.String
	var present bool
	if !signer.ReadOptionalASN1(&unsigned, &present, explicit(1)) || !signer.Empty() {
		return nil, errors.New("bytes follow the signer's signature")
	}
	return &ImageSignature{
		Digest: declared.hash, ImageDigest: bytes.Clone(image),
		Issuer: s.Issuer, Serial: s.Serial, Certificates: s.Certificates,
		signed: s, attributes: attributes,
	}, nil
}

// Verify says whether the key of cert, and no other, signed, as
// [SignedData.Verify] does. Whether the program has the digest that was signed is
// the caller's to compare.
func (s *ImageSignature) Verify(cert *x509.Certificate) error {
	return s.signed.Verify(s.attributes, cert)
}

// Signer is as [SignedData.Signer].
func (s *ImageSignature) Signer() *x509.Certificate { return s.signed.Signer() }

// unpad takes the filling off.
func unpad(der []byte) []byte {
	var message cryptobyte.String
	rest := cryptobyte.String(der)
	if !rest.ReadASN1Element(&message, casn1.SEQUENCE) || len(rest) > maxPadding {
		return der
	}
	for _, c := range rest {
		if c != 0 {
			return der
		}
	}
	return message
}

// readIndirect reads the content part and returns the inside of its
// SpcIndirectDataContent, which is what the message digest is over.
func readIndirect(signed *cryptobyte.String) (cryptobyte.String, error) {
	var info, body, content cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !signed.ReadASN1(&info, casn1.SEQUENCE) || !info.ReadASN1ObjectIdentifier(&kind) {
		return nil, errors.New("the content part is malformed")
	}
	if !kind.Equal(oidIndirectData()) {
		return nil, fmt.Errorf("content of type %v: this is not the signature of a program", kind)
	}
	if !info.ReadASN1(&body, explicit(0)) || !info.Empty() || !body.ReadASN1(&content, casn1.SEQUENCE) || !body.Empty() {
		return nil, errors.New("the content part is malformed")
	}
	return content, nil
}

// readImageDigest reads the digest of the program. What else Authenticode says of
// a program there, firmware does not look at, and there is nothing to it.
func readImageDigest(content cryptobyte.String, declared digest) ([]byte, error) {
	var data, value, info, sum cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !content.ReadASN1(&data, casn1.SEQUENCE) || !data.ReadASN1ObjectIdentifier(&kind) ||
		!data.ReadASN1(&value, casn1.SEQUENCE) || !data.Empty() ||
		!content.ReadASN1(&info, casn1.SEQUENCE) || !content.Empty() {
		return nil, errors.New("what is signed is malformed")
	}
	if !kind.Equal(oidImageData()) {
		return nil, fmt.Errorf("what is signed is of type %v, and no program", kind)
	}
	used, err := readDigest(&info)
	if err != nil {
		return nil, err
	}
	if used.hash != declared.hash {
		return nil, fmt.Errorf("the program's digest is %v, the message declares %v", used.hash, declared.hash)
	}
	if !info.ReadASN1(&sum, casn1.OCTET_STRING) || !info.Empty() || len(sum) != used.hash.Size() {
		return nil, errors.New("the program's digest is malformed")
	}
	return sum, nil
}
