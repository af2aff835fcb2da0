package secureboot

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"slices"

	"inlay/internal/cms"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/pe"
)

// copyBuffer is what is copied of a program at a time, in bytes.
const copyBuffer = 1 << 20

// SignOptions are choices in signing a program.
type SignOptions struct {
	// Replace drops the signatures that the program has; otherwise the new one
	// comes after them. Firmware takes a program if it trusts one of them.
	Replace bool
	// Chain are certificates between the signer's and the one that firmware
	// trusts, where these differ. They travel with the signature.
	Chain []*x509.Certificate
}

// Program is a file that is signed in place.
type Program interface {
	io.ReaderAt
	io.WriterAt
}

// SignProgram writes to w, from byte 0 on, the EFI program that is the first size
// bytes of r, with a signature by the pair. It returns how many bytes these are.
// The program is streamed, and the same input has the same bytes twice. One that
// carries that very signature already is only copied.
func SignProgram(r io.ReaderAt, size int64, by keys.Pair, w io.WriterAt, o SignOptions) (int64, error) {
	f, err := pe.Parse(r, size)
	if err != nil {
		return 0, fmt.Errorf("signing: %w", err)
	}
	content := io.NewSectionReader(r, 0, f.End())
	n, err := io.CopyBuffer(io.NewOffsetWriter(w, 0), struct{ io.Reader }{content}, make([]byte, copyBuffer))
	if err == nil && n != content.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, fmt.Errorf("copying an EFI program: %w", err)
	}
	return signProgram(f, by, w, o)
}

// SignProgramInPlace signs as [SignProgram] does a program of size bytes in the
// file that holds it, and writes its headers and signatures only. It returns the
// new size; a file that was longer is the caller's to cut. After an error the
// program may be spoiled.
func SignProgramInPlace(p Program, size int64, by keys.Pair, o SignOptions) (int64, error) {
	f, err := pe.Parse(p, size)
	if err != nil {
		return 0, fmt.Errorf("signing: %w", err)
	}
	return signProgram(f, by, p, o)
}

// signProgram writes headers and signatures of f to w.
func signProgram(f *pe.File, by keys.Pair, w io.WriterAt, o SignOptions) (int64, error) {
	var signatures [][]byte
	if !o.Replace {
		for _, c := range f.Certificates {
			old, err := f.Signature(c)
			if err != nil {
				return 0, hint.Wrap(fmt.Errorf("signing: a signature that is there already: %w", err), "replace the signatures, instead of adding one")
			}
			signatures = append(signatures, old)
		}
	}
	digest, err := programDigest(f)
	if err != nil {
		return 0, err
	}
	signature, err := cms.SignImage(digest, by.Certificate, by.Signer, o.Chain...)
	if err != nil {
		return 0, fmt.Errorf("signing an EFI program: %w", err)
	}
	if !slices.ContainsFunc(signatures, func(old []byte) bool { return bytes.Equal(old, signature) }) {
		signatures = append(signatures, signature)
	}
	return pe.Certify(w, f, signatures)
}

// ProgramDigest returns the SHA-256 digest, reckoned as Authenticode wants it, by
// which db and dbx name an EFI program of size bytes.
func ProgramDigest(r io.ReaderAt, size int64) ([32]byte, error) {
	f, err := pe.Parse(r, size)
	if err != nil {
		return [32]byte{}, err
	}
	return programDigest(f)
}

func programDigest(f *pe.File) ([32]byte, error) {
	h := sha256.New()
	if err := f.Digest(h); err != nil {
		return [32]byte{}, err
	}
	return [32]byte(h.Sum(nil)), nil
}
