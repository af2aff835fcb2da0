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
	"slices"
	"time"

	"inlay/internal/content"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/trust"
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
	case isPEM(f), bytes.Equal(magic[:2], []byte{0x30, 0x82}):
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
	return readExtension(name)
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

// RevokeSetOptions says how a set's keys revoke.
type RevokeSetOptions struct {
	Dir    string // for the files; made with mode 0700 if absent
	ByHash bool   // see RevokeOptions
	// DenyName names the deny list; Reason is written beside each root hash, which
	// else has its image's name.
	DenyName, Reason string
	Time             time.Time // of the update of dbx
	Rand             io.Reader // for the owner's GUID; nil is crypto/rand
	Force            bool      // replace existing files
}

// RevokeResult is what RevokeWith made.
type RevokeResult struct {
	Files []string
	// DBX and Deny are the certificates that signed the update of dbx and the
	// deny list, or nil without one.
	DBX, Deny *x509.Certificate
	Warnings  []string
}

// RevokeWith has the keys of a set revoke: certificates and programs in dbx.esl
// and dbx.auth, an update that KEK signs and that adds to what is in the firmware;
// extensions in NAME.deny and NAME.deny.p7s, which the key for extensions signs or,
// if the set has none, that of db.
func RevokeWith(set *Set, items []Revocation, o RevokeSetOptions) (*RevokeResult, error) {
	r := new(RevokeResult)
	var certs []*x509.Certificate
	var programs [][32]byte
	var denials []trust.Denial
	for _, item := range items {
		switch item.Kind {
		case RevokedCertificate:
			certs = append(certs, item.Certificate)
		case RevokedProgram:
			programs = append(programs, item.Digest)
		case RevokedExtension:
			denials = append(denials, trust.Denial{Root: item.Digest, Reason: reasonFor(item, o)})
		}
	}
	var files []keys.File
	if len(certs)+len(programs) > 0 {
		made, err := r.dbx(set, certs, programs, o)
		if err != nil {
			return nil, err
		}
		files = append(files, made...)
	}
	if len(denials) > 0 {
		made, err := r.deny(set, denials, certs, o)
		if err != nil {
			return nil, err
		}
		files = append(files, made...)
	}
	var err error
	if r.Files, err = keys.Install(o.Dir, o.Force, files); err != nil {
		return nil, fmt.Errorf("writing revocations to %q: %w", o.Dir, err)
	}
	r.remark(set, certs)
	return r, nil
}

func reasonFor(item Revocation, o RevokeSetOptions) string {
	if o.Reason != "" {
		return o.Reason
	}
	if base := filepath.Base(item.Origin); base != hex.EncodeToString(item.Digest[:]) {
		return base
	}
	return ""
}

func (r *RevokeResult) dbx(set *Set, certs []*x509.Certificate, programs [][32]byte, o RevokeSetOptions) ([]keys.File, error) {
	by, err := set.Pair(nameKEK)
	if err != nil {
		return nil, err
	}
	owner, err := newOwner(o.Rand)
	if err != nil {
		return nil, err
	}
	lists, err := RevokeLists(certs, programs, RevokeOptions{Owner: owner, ByHash: o.ByHash})
	if err != nil {
		return nil, err
	}
	update, err := NewUpdate(nameDBX, lists, by, UpdateOptions{Time: o.Time, Append: true})
	if err != nil {
		return nil, err
	}
	r.DBX = by.Certificate
	return []keys.File{{Name: nameDBX + ".esl", Data: marshal(lists)}, {Name: nameDBX + ".auth", Data: update.Marshal()}}, nil
}

// deny makes the deny list. A node that does not believe it trusts nothing, so it
// must not be signed by a key that goes at the same time.
func (r *RevokeResult) deny(set *Set, denials []trust.Denial, gone []*x509.Certificate, o RevokeSetOptions) ([]keys.File, error) {
	by := set.Extension
	if by.Signer == nil || slices.ContainsFunc(gone, by.Certificate.Equal) {
		var err error
		if by, err = set.Pair(nameDB); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(gone, by.Certificate.Equal) {
			return nil, hint.Wrap(fmt.Errorf("the deny list would be signed by %q, which is revoked with it", by.Certificate.Subject),
				"name a set of new keys with -k")
		}
	}
	text, signature, err := DenyList(denials, by)
	if err != nil {
		return nil, err
	}
	r.Deny = by.Certificate
	return []keys.File{{Name: o.DenyName + ".deny", Data: text}, {Name: o.DenyName + ".deny.p7s", Data: signature}}, nil
}

// remark warns of what goes together with a certificate.
func (r *RevokeResult) remark(set *Set, certs []*x509.Certificate) {
	for _, c := range certs {
		switch {
		case set.DB.Certificate != nil && c.Equal(set.DB.Certificate):
			r.Warnings = append(r.Warnings, fmt.Sprintf("%q is this set's db: nothing that its key signed will start, the loader of the machines included; enrol the new db and sign anew first", c.Subject))
		case set.KEK.Certificate != nil && c.Equal(set.KEK.Certificate), set.PK.Certificate != nil && c.Equal(set.PK.Certificate):
			r.Warnings = append(r.Warnings, fmt.Sprintf("%q is this set's KEK or PK: dbx keeps programs from starting, but not that key from signing updates; take it out of the firmware's KEK, or replace PK", c.Subject))
		case c.IsCA:
			r.Warnings = append(r.Warnings, fmt.Sprintf("%q is an authority: all that it has issued certificates for is revoked with it", c.Subject))
		}
	}
}
