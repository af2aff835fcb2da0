package cms

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// errAttributes has its advice from whoever knows what the signature is for.
var errAttributes = errors.New("signed attributes are not accepted: the signature must be over the content itself")

// readSigner reads the SignerInfo, whose digest must be the declared one.
func (s *SignedData) readSigner(signer cryptobyte.String, declared digest) error {
	if err := s.readWho(&signer, declared); err != nil {
		return err
	}
	if signer.PeekASN1Tag(explicit(0)) {
		return errAttributes
	}
	if err := s.readSignature(&signer, declared); err != nil {
		return err
	}
	if signer.PeekASN1Tag(explicit(1)) {
		return errors.New("unsigned attributes are not accepted")
	}
	if !signer.Empty() {
		return errors.New("bytes follow the signer's signature")
	}
	return nil
}

// readWho reads the start of a SignerInfo: who signed, and with which digest.
func (s *SignedData) readWho(signer *cryptobyte.String, declared digest) error {
	var version int64
	if !signer.ReadASN1Integer(&version) {
		return errors.New("the signer's version is malformed")
	}
	if version != 1 {
		return fmt.Errorf("version %d of a signer: only 1, which names a certificate by issuer and serial number, is accepted", version)
	}
	if err := s.readName(signer); err != nil {
		return err
	}
	used, err := readDigest(signer)
	if err != nil {
		return err
	}
	if used.hash != declared.hash {
		return fmt.Errorf("the signer uses %v, the message declares %v", used.hash, declared.hash)
	}
	return nil
}

// readSignature reads the signature and its algorithm.
func (s *SignedData) readSignature(signer *cryptobyte.String, declared digest) (err error) {
	if s.scheme, err = readScheme(signer, declared); err != nil {
		return err
	}
	var signature cryptobyte.String
	if !signer.ReadASN1(&signature, casn1.OCTET_STRING) || signature.Empty() {
		return errors.New("the signature itself is malformed")
	}
	s.Signature = bytes.Clone(signature)
	return nil
}

// readName reads the issuer and serial number of the signer's certificate.
func (s *SignedData) readName(signer *cryptobyte.String) error {
	var id, issuer cryptobyte.String
	serial := new(big.Int)
	if !signer.ReadASN1(&id, casn1.SEQUENCE) || !id.ReadASN1Element(&issuer, casn1.SEQUENCE) ||
		!id.ReadASN1Integer(serial) || !id.Empty() {
		return errors.New("the signer's name is malformed")
	}
	if serial.Sign() < 0 {
		return errors.New("the signer's serial number is negative")
	}
	var rdn pkix.RDNSequence
	if rest, err := asn1.Unmarshal(issuer, &rdn); err != nil || len(rest) > 0 {
		return errors.New("the signer's issuer is malformed")
	}
	s.Issuer.FillFromRDNSequence(&rdn)
	s.Serial = serial
	s.rawIssuer = bytes.Clone(issuer)
	return nil
}
