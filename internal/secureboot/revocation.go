package secureboot

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"inlay/internal/content"
	"inlay/internal/efi"
	"inlay/internal/hint"
)

const revokeHint = "name certificates, EFI programs or folders of them, images of extensions, or root hashes"

// RevokedKind is a kind of thing that is revoked.
type RevokedKind string

// The kinds of things that are revoked: firmware heeds the first two, nodes the
// first and the last.
const (
	RevokedCertificate RevokedKind = "certificate"
	RevokedProgram     RevokedKind = "program"
	RevokedExtension   RevokedKind = "extension"
)

// Revocation is one thing that is to count no longer.
type Revocation struct {
	// Origin is the file, or the root hash, that was named.
	Origin string
	Kind   RevokedKind
	// Certificate is nil unless the kind is that.
	Certificate *x509.Certificate
	// Digest is that of a program, or the root hash of an extension.
	Digest [32]byte
}

// ReadRevocations reads what is to be revoked: files of certificates, EFI programs,
// folders with such programs, images of extensions, and root hashes in 64
// hexadecimal digits.
func ReadRevocations(names ...string) ([]Revocation, error) {
	var all []Revocation
	for _, name := range names {
		found, err := readRevocation(name)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", name, hint.Default(err, revokeHint))
		}
		all = append(all, found...)
	}
	return all, nil
}

func readRevocation(name string) ([]Revocation, error) {
	if root, err := hex.DecodeString(name); err == nil && len(root) == 32 {
		return []Revocation{{Origin: name, Kind: RevokedExtension, Digest: [32]byte(root)}}, nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, bare(err)
	case info.IsDir():
		return readPrograms(name)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is neither a file nor a folder")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close()
	magic := make([]byte, 3)
	if _, err := io.ReadFull(f, magic); err != nil {
		return nil, errors.New("it is too short to be anything")
	}
	switch {
	case string(magic[:2]) == "MZ":
		digest, err := ProgramDigest(f, info.Size())
		return []Revocation{{Origin: name, Kind: RevokedProgram, Digest: digest}}, err
	case isPEM(f), isDER(magic):
		data, err := readFile(name)
		if err != nil {
			return nil, err
		}
		certs, err := parseCertificates(data)
		var all []Revocation
		for _, c := range certs {
			all = append(all, Revocation{Origin: name, Kind: RevokedCertificate, Certificate: c})
		}
		return all, err
	}
	if data, err := readFile(name); err == nil {
		if err := notLists(data); err != nil {
			return nil, err
		}
	}
	return readExtension(name)
}

// notLists refuses what holds others' certificates, which are not all meant
// perhaps.
func notLists(data []byte) error {
	const advice = "name the certificates or programs themselves; inlay keys show says what is in it"
	if _, err := parseLists(data); err == nil {
		return hint.Wrap(errors.New("it is signature lists"), advice)
	}
	if _, err := efi.ParseUpdate(data); err == nil {
		return hint.Wrap(errors.New("it is an update of a firmware variable"), advice)
	}
	return nil
}

// isPEM says whether a file begins as text that holds PEM does.
func isPEM(r io.ReaderAt) bool {
	start := make([]byte, 8<<10) // openssl x509 -text writes some 4 KiB before it
	n, err := r.ReadAt(start, 0)
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Contains(start[:n], []byte("-----BEGIN "))
}

func readPrograms(dir string) ([]Revocation, error) {
	programs, err := DigestPrograms(os.DirFS(dir))
	if err == nil && len(programs) == 0 {
		err = errors.New("no EFI program (*.efi) is in this folder")
	}
	var all []Revocation
	for _, p := range programs {
		all = append(all, Revocation{Origin: filepath.Join(dir, p.Name), Kind: RevokedProgram, Digest: p.Digest})
	}
	return all, err
}

func readExtension(name string) ([]Revocation, error) {
	x, err := content.OpenExtension(name)
	if err != nil {
		return nil, hint.Wrap(err, revokeHint)
	}
	defer x.Close()
	if x.Image == nil {
		return nil, hint.Wrap(errors.New("it has no hash tree, by whose root it could be named"), "an image without one is trusted by nobody who asks for signatures")
	}
	root, err := x.Image.RootHash()
	if err != nil {
		return nil, err
	}
	return []Revocation{{Origin: name, Kind: RevokedExtension, Digest: root}}, nil
}
