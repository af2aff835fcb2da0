package secureboot

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
)

// remark warns of what goes together with what is revoked, above all if the set
// that revokes needs it itself.
func (r *RevokeResult) remark(set *Set, items []Revocation) {
	var programs []string
	for _, item := range items {
		switch {
		case item.Kind == RevokedProgram && set.signed(item.Origin):
			programs = append(programs, fmt.Sprintf("%q", item.Origin))
		case item.Kind == RevokedCertificate:
			if text := set.revoking(item.Certificate); text != "" && !slices.Contains(r.Warnings, text) {
				r.Warnings = append(r.Warnings, text)
			}
		}
	}
	const most = 3
	if more := len(programs) - most; more > 0 {
		programs = append(programs[:most], fmt.Sprintf("%d more", more))
	}
	if len(programs) > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("this set's db has signed %s: a machine that has nothing newer to start will not start any more; see to that first",
			strings.Join(programs, ", ")))
	}
}

// revoking says what goes with a certificate, or "".
func (s *Set) revoking(c *x509.Certificate) string {
	const nothing = "nothing that its key signed will start, the loader of the machines included; enrol the new db and sign anew first"
	const untrusted = "nodes will trust no extension that its key signed; sign these anew with another key first"
	switch {
	case c.Equal(s.DB.Certificate):
		return fmt.Sprintf("%q is this set's db: %s", c.Subject, nothing)
	case c.Equal(s.KEK.Certificate), c.Equal(s.PK.Certificate):
		return fmt.Sprintf("%q is this set's KEK or PK: dbx keeps programs from starting, but not that key from signing updates; take it out of the firmware's KEK, or replace PK", c.Subject)
	case c.Equal(s.Extension.Certificate):
		return fmt.Sprintf("%q is this set's key for extensions: %s", c.Subject, untrusted)
	case hasIssued(c, s.DB.Certificate):
		return fmt.Sprintf("%q is the authority of this set's db and of all else that it has issued certificates for: %s", c.Subject, nothing)
	case hasIssued(c, s.Extension.Certificate):
		return fmt.Sprintf("%q is the authority of this set's key for extensions and of all else that it has issued certificates for: %s", c.Subject, untrusted)
	case s.enrols(c):
		return fmt.Sprintf("%q is in db.auth of this set: once it is revoked too, nothing that its key signed will start", c.Subject)
	case c.IsCA:
		return fmt.Sprintf("%q is an authority: all that it has issued certificates for is revoked with it", c.Subject)
	}
	return ""
}

func hasIssued(authority, c *x509.Certificate) bool {
	return c != nil && issued(authority, c, 0)
}

// enrols says whether the set's update of db has a certificate.
func (s *Set) enrols(c *x509.Certificate) bool {
	if !s.HasAuth(nameDB) {
		return false
	}
	_, lists, err := readAuth(nameDB, s.auth[nameDB])
	return err == nil && slices.ContainsFunc(certificates(lists), c.Equal)
}

// signed says whether a program in a file is signed by the set's db. It is good
// for a warning: a file that cannot be read again gets none.
func (s *Set) signed(file string) bool {
	if s.DB.Certificate == nil {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	_, err = VerifyProgram(f, info.Size(), s.DB.Certificate)
	return err == nil
}
