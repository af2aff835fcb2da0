package secureboot

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/trust"
)

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
	r.remark(set, items)
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
	goes := func(c *x509.Certificate) bool {
		return slices.ContainsFunc(gone, func(g *x509.Certificate) bool { return g.Equal(c) || hasIssued(g, c) })
	}
	by := set.Extension
	if by.Signer == nil || goes(by.Certificate) {
		var err error
		if by, err = set.Pair(nameDB); err != nil {
			return nil, err
		}
		if goes(by.Certificate) {
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
