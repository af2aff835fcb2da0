package secureboot

import (
	"crypto/ecdsa"
	"fmt"
	"strings"

	"inlay/internal/efi"
)

// countLists counts the entries of a variable whose first is the set's own.
func countLists(name string, lists []efi.List) ListCount {
	c := ListCount{Variable: name, Others: -1}
	for _, l := range lists {
		c.Others += len(l.Entries)
		if l.Type == efi.X509() {
			c.Certificates += len(l.Entries)
		} else {
			c.Hashes += len(l.Entries)
		}
	}
	return c
}

// remark warns of what others' certificates bring, and says what without them
// will not work.
func (r *SetResult) remark(others map[string][]efi.List) {
	var authorities []string
	microsoft := false
	for _, c := range certificates(others[nameDB]) {
		if c.IsCA {
			authorities = append(authorities, fmt.Sprintf("%q", c.Subject))
		}
		microsoft = microsoft || isMicrosoft(c)
	}
	if len(authorities) > 0 {
		r.Warnings = append(r.Warnings, "firmware will start every program signed by anybody to whom these authorities in db issue a certificate: "+strings.Join(authorities, ", "))
	}
	for _, name := range []string{nameKEK, nameDB} {
		for _, l := range others[name] {
			if l.Type != efi.X509() {
				continue
			}
			if unread := len(l.Entries) - len(certificates([]efi.List{l})); unread > 0 {
				r.Warnings = append(r.Warnings, fmt.Sprintf("%d entries for %s are no certificates that can be read here; firmware gets them as they are", unread, name))
			}
		}
	}
	if !microsoft {
		r.Notes = append(r.Notes, "no Microsoft certificate is in db: what Microsoft signed will not load, such as the option ROMs of many graphics, network and storage cards. --microsoft-certs DIR adds certificates that you have downloaded")
	}
}

// warnings are about the issuer.
func (o *SetOptions) warnings() []string {
	if o.CA == nil {
		return nil
	}
	var all []string
	if o.CA.Warning != "" {
		all = append(all, o.CA.Warning)
	}
	if _, ok := o.CA.Certificate.PublicKey.(*ecdsa.PublicKey); ok && !o.ExtensionOnly {
		all = append(all, "the authority's key is ECDSA: firmware that knows RSA alone may not read the certificates that it issues")
	}
	return all
}
