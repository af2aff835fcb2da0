package secureboot

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"inlay/internal/cms"
	"inlay/internal/pe"
)

// ErrUnsigned says that a program carries no signature at all.
var ErrUnsigned = errors.New("the program is not signed")

// ErrProgramChanged says that a signature is of another program, or of this one
// before it was changed.
var ErrProgramChanged = errors.New("the program is not the one that was signed")

// ProgramSignature is a signature of a program that was found to be good.
type ProgramSignature struct {
	// Index counts the program's signatures from 0.
	Index int
	// Signer is the certificate whose key signed.
	Signer *x509.Certificate
	// By is the trusted certificate: Signer, or one that issued it.
	By *x509.Certificate
	// Hash is the function of the program's digest.
	Hash crypto.Hash
}

// VerifyProgram returns the first signature of an EFI program of size bytes that
// was made by one of the certificates in by, or by one that they have issued, if
// the signature brings those between. That is how firmware judges by db, the
// validity in time left out too; dbx is the caller's to look into. A program
// without signatures is [ErrUnsigned].
func VerifyProgram(r io.ReaderAt, size int64, by ...*x509.Certificate) (*ProgramSignature, error) {
	f, err := pe.Parse(r, size)
	if err != nil {
		return nil, err
	}
	if len(f.Certificates) == 0 {
		return nil, ErrUnsigned
	}
	digests := make(map[crypto.Hash][]byte)
	var faults []error
	for i, c := range f.Certificates {
		s, err := verifySignature(f, c, digests, by)
		if err == nil {
			s.Index = i
			return s, nil
		}
		faults = append(faults, fmt.Errorf("signature %d of %d: %w", i+1, len(f.Certificates), err))
	}
	return nil, fmt.Errorf("verifying an EFI program: %w", errors.Join(faults...))
}

// verifySignature checks one signature; digests keeps what was computed of f.
func verifySignature(f *pe.File, c pe.Certificate, digests map[crypto.Hash][]byte, by []*x509.Certificate) (*ProgramSignature, error) {
	der, err := f.Signature(c)
	if err != nil {
		return nil, err
	}
	image, err := cms.ParseImage(der)
	if err != nil {
		return nil, err
	}
	signer, anchor, err := findSigner(image, by)
	if err != nil {
		return nil, err
	}
	if digests[image.Digest] == nil {
		h := image.Digest.New()
		if err := f.Digest(h); err != nil {
			return nil, err
		}
		digests[image.Digest] = h.Sum(nil)
	}
	if !bytes.Equal(digests[image.Digest], image.ImageDigest) {
		return nil, fmt.Errorf("by %q: %w", signer.Subject, ErrProgramChanged)
	}
	return &ProgramSignature{Signer: signer, By: anchor, Hash: image.Digest}, nil
}

// findSigner returns the certificate whose key made the signature, and the one in
// by that vouches for it.
func findSigner(image *cms.ImageSignature, by []*x509.Certificate) (signer, anchor *x509.Certificate, err error) {
	var fault error
	for _, cert := range by {
		err := image.Verify(cert)
		if err == nil {
			return cert, cert, nil
		}
		if !errors.Is(err, cms.ErrOtherSigner) {
			fault = err
		}
	}
	if fault != nil {
		return nil, nil, fault
	}
	signer = image.Signer()
	if signer == nil {
		return nil, nil, fmt.Errorf("%q, number %x, signed it: %w", image.Issuer, image.Serial, cms.ErrOtherSigner)
	}
	if err := image.Verify(signer); err != nil {
		return nil, nil, err
	}
	if anchor = issuer(signer, image.Certificates, by); anchor == nil {
		return nil, nil, fmt.Errorf("%q signed it: %w", signer.Subject, cms.ErrOtherSigner)
	}
	return signer, anchor, nil
}

// issuer returns the certificate in by that issued cert, itself or through those
// that the signature brought. It looks at each of these once: what a hostile
// signature brings may all have issued one another.
func issuer(cert *x509.Certificate, brought, by []*x509.Certificate) *x509.Certificate {
	level, left := []*x509.Certificate{cert}, slices.Clone(brought)
	for between := 0; len(level) > 0; between++ {
		for _, child := range level {
			for _, c := range by {
				if issued(c, child, between) {
					return c
				}
			}
		}
		var above []*x509.Certificate
		left = slices.DeleteFunc(left, func(c *x509.Certificate) bool {
			if !slices.ContainsFunc(level, func(child *x509.Certificate) bool { return issued(c, child, between) }) {
				return false
			}
			above = append(above, c)
			return true
		})
		level = above
	}
	return nil
}

// issued says whether parent may issue, and has issued, child, with as many
// certificates between that and the signer's as given.
func issued(parent, child *x509.Certificate, between int) bool {
	if !bytes.Equal(parent.RawSubject, child.RawIssuer) {
		return false
	}
	if bounded := parent.MaxPathLen > 0 || parent.MaxPathLenZero; bounded && between > parent.MaxPathLen {
		return false
	}
	return child.CheckSignatureFrom(parent) == nil
}
