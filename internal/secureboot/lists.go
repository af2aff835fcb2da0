package secureboot

import (
	"crypto/x509"

	"inlay/internal/efi"
)

// parseLists reads signature lists, also as a file of efivarfs shows them: after
// four bytes of attributes.
func parseLists(data []byte) ([]efi.List, error) {
	lists, err := efi.ParseLists(data)
	if err == nil {
		return lists, nil
	}
	// No list begins like attributes do: its type is a random number.
	if v, varErr := efi.ParseVariable(data); varErr == nil {
		if lists, err := efi.ParseLists(v.Data); err == nil {
			return lists, nil
		}
	}
	return nil, err
}

// certificates returns the certificates in signature lists, as far as they can be
// read.
func certificates(lists []efi.List) []*x509.Certificate {
	var found []*x509.Certificate
	for _, l := range lists {
		if l.Type != efi.X509() {
			continue
		}
		for _, e := range l.Entries {
			if c, err := x509.ParseCertificate(e.Data); err == nil {
				found = append(found, c)
			}
		}
	}
	return found
}

// marshal returns lists as a variable holds them.
func marshal(lists []efi.List) []byte {
	var b []byte
	for _, l := range lists {
		b = append(b, l.Marshal()...)
	}
	return b
}
