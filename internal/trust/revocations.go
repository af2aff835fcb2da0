package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"inlay/internal/efi"
)

// maxRSABits is the size of the largest RSA key that is tried for an issuer's: a
// hostile one costs time, and no honest one comes near.
const maxRSABits = 8192

// revocations are what the firmware's dbx says of certificates. Its hashes of PE
// files are not kept: they say nothing of certificates.
type revocations struct {
	// hashes are of what is signed in a certificate: of all of it there are
	// several spellings, since anybody can turn an ECDSA signature into another.
	hashes map[crypto.Hash][][]byte
	known  []*x509.Certificate // at hand, to find out who issued what
}

// read reads the lists of dbx. With an error, what was read before it counts.
func (r *revocations) read(b []byte) error {
	r.hashes = make(map[crypto.Hash][][]byte)
	lists, err := efi.ParseLists(b)
	if err != nil {
		return err
	}
	var faults []error
	for i, list := range lists {
		if isFileHash(list.Type) {
			continue
		}
		for j, entry := range list.Entries {
			if err := r.entry(list, entry); err != nil {
				faults = append(faults, fmt.Errorf("list %d, entry %d: %w", i+1, j+1, err))
			}
		}
	}
	if len(faults) > 0 {
		return faults[0]
	}
	return nil
}

func (r *revocations) entry(l efi.List, e efi.Entry) error {
	switch l.Type {
	case efi.X509():
		cert, err := x509.ParseCertificate(e.Data)
		if err != nil {
			return fmt.Errorf("no certificate: %w", err)
		}
		r.known = append(r.known, cert)
		tbs := sha256.Sum256(cert.RawTBSCertificate)
		r.hashes[crypto.SHA256] = append(r.hashes[crypto.SHA256], tbs[:])
		return nil
	case efi.X509SHA256(), efi.X509SHA384(), efi.X509SHA512():
		// The time is when the certificate went bad. What it signed earlier would
		// still be good, but nothing here says when that was: any time revokes,
		// and a malformed one too.
		hash, tbs, _, err := efi.Revocation(l, e)
		if hash == 0 {
			return err
		}
		r.hashes[hash] = append(r.hashes[hash], tbs)
		return nil
	}
	return fmt.Errorf("entries of type %s are not understood", efi.TypeName(l.Type))
}

// names says whether dbx names the certificate itself.
func (r *revocations) names(cert *x509.Certificate) bool {
	for hash, revoked := range r.hashes {
		h := hash.New()
		h.Write(cert.RawTBSCertificate)
		sum := h.Sum(nil)
		if slices.ContainsFunc(revoked, func(tbs []byte) bool { return bytes.Equal(tbs, sum) }) {
			return true
		}
	}
	return false
}

// find looks for a certificate that dbx names: cert, or one that issued it,
// directly or through others, among those at hand and more. It returns nil if
// there is none.
func (r *revocations) find(cert *x509.Certificate, more []*x509.Certificate) *x509.Certificate {
	if len(r.hashes) == 0 {
		return nil
	}
	seen := map[[32]byte]bool{sha256.Sum256(cert.Raw): true}
	for queue := []*x509.Certificate{cert}; len(queue) > 0; queue = queue[1:] {
		child := queue[0]
		if r.names(child) {
			return child
		}
		for _, pool := range [][]*x509.Certificate{r.known, more} {
			for _, parent := range pool {
				if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
					continue
				}
				digest := sha256.Sum256(parent.Raw)
				if !seen[digest] && mayHaveIssued(parent, child) {
					seen[digest] = true
					queue = append(queue, parent)
				}
			}
		}
	}
	return nil
}

// mayHaveIssued says whether child, which names parent as its issuer, has a
// signature by parent's key. It says yes where that cannot be checked: it serves
// revocation only.
func mayHaveIssued(parent, child *x509.Certificate) bool {
	switch key := parent.PublicKey.(type) {
	case *rsa.PublicKey:
		// Go refuses smaller keys without looking.
		if bits := key.N.BitLen(); bits < 1024 || bits > maxRSABits {
			return true
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return true
	}
	err := parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature)
	if errors.Is(err, x509.ErrUnsupportedAlgorithm) {
		return true
	}
	_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || insecure
}

// strikeRevoked takes revoked certificates out of the anchors, wherever they
// came from.
func (l *loader) strikeRevoked() {
	l.set.Anchors = slices.DeleteFunc(l.set.Anchors, func(a Anchor) bool {
		by := l.set.dbx.find(a.Certificate, nil)
		if by == nil {
			return false
		}
		l.set.revoked = append(l.set.revoked, a)
		l.problem(a.Origin, "%s is not trusted: %s", nameOf(a.Certificate), revokedText(a.Certificate, by))
		return true
	})
}

// revokedText says how the revocation of by concerns cert.
func revokedText(cert, by *x509.Certificate) string {
	if cert.Equal(by) {
		return "the firmware's dbx revokes it"
	}
	return "the firmware's dbx revokes " + nameOf(by) + ", which issued it"
}
