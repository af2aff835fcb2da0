package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

// variable names a variable of the firmware.
type variable struct {
	name   string
	vendor guid.GUID
}

func (v variable) origin() string { return "firmware " + v.name }

// keyVariables are those whose certificates may vouch for the system's parts.
func keyVariables() []variable {
	return []variable{{"PK", efi.GlobalVariable()}, {"KEK", efi.GlobalVariable()}, {"db", efi.ImageSecurity()}}
}

// firmware makes anchors of the firmware's keys: only if nobody but the owner of
// PK could have written them, and only if dbx, which may take them back, could be
// read. Those of vendors are taken only if vendorCAs says so.
func (l *loader) firmware(vendorCAs bool) {
	if l.absent != nil || l.blind != nil {
		return // which l.revocations has told
	}
	if err := l.secured(); err != nil {
		l.problem("firmware", "no key of it is used: %v", err)
		return
	}
	var vendors []string
	for _, v := range keyVariables() {
		certs, problems := l.keys(v)
		l.set.Problems = append(l.set.Problems, problems...)
		for _, cert := range certs {
			if isVendor(cert) && !vendorCAs {
				vendors = append(vendors, nameOf(cert)+" ("+v.name+")")
				l.set.left = append(l.set.left, excluded{
					Anchor{cert, v.origin()},
					"the firmware trusts for boot loaders, but is a vendor's and was not asked for", false,
				})
				continue
			}
			l.add(cert, v.origin())
		}
	}
	if len(vendors) > 0 {
		l.problem("firmware", "%d vendor certificates are not trusted for extensions unless asked for: %s",
			len(vendors), strings.Join(vendors, "; "))
	}
}

// secured says why the firmware's keys prove nothing: nil only with Secure Boot
// on and setup mode off. In setup mode root can write any of them.
func (l *loader) secured() error {
	for _, want := range []struct {
		name string
		on   bool
		why  string
	}{
		{"SecureBoot", true, "secure boot is off"},
		{"SetupMode", false, "the firmware is in setup mode, where anybody can write its keys"},
	} {
		on, err := l.flag(want.name)
		if err != nil {
			return err
		}
		if on != want.on {
			return errors.New(want.why)
		}
	}
	return nil
}

// flag reads a variable that is on or off.
func (l *loader) flag(name string) (bool, error) {
	v, err := l.read(variable{name, efi.GlobalVariable()})
	if err != nil {
		return false, fmt.Errorf("reading variable %s: %s", name, reason(err))
	}
	on, err := v.Flag()
	if err != nil {
		return false, fmt.Errorf("reading variable %s: %w", name, err)
	}
	return on, nil
}

// keys returns the certificates of a variable: none of one that is malformed.
func (l *loader) keys(v variable) ([]*x509.Certificate, []Problem) {
	value, err := l.read(v)
	if err != nil {
		return nil, []Problem{{v.origin(), oneLine("not used: " + reason(err))}}
	}
	lists, err := efi.ParseLists(value.Data)
	if err != nil {
		return nil, []Problem{{v.origin(), oneLine("malformed, so nothing of it is used: " + err.Error())}}
	}
	var certs []*x509.Certificate
	var problems []Problem
	for i, list := range lists {
		if list.Type != efi.X509() {
			if !isFileHash(list.Type) {
				problems = append(problems, Problem{
					v.origin(),
					fmt.Sprintf("list %d is not used: its type is %s, not x509", i+1, efi.TypeName(list.Type)),
				})
			}
			continue
		}
		for j, entry := range list.Entries {
			cert, err := x509.ParseCertificate(entry.Data)
			if err != nil {
				problems = append(problems, Problem{
					v.origin(),
					oneLine(fmt.Sprintf("list %d, entry %d is not used: no certificate: %v", i+1, j+1, err)),
				})
				continue
			}
			certs = append(certs, cert)
		}
	}
	return certs, problems
}

// isFileHash says whether the entries of a list are hashes of PE files, which
// neither make an anchor nor revoke one.
func isFileHash(kind guid.GUID) bool {
	switch efi.TypeName(kind) {
	case "sha1", "sha224", "sha256", "sha384", "sha512":
		return true
	}
	return false
}

// isVendor says whether a certificate belongs to, or was issued by, a vendor
// whose keys sign everybody's boot loaders. That it goes by name errs on the safe
// side: a name can only keep a certificate from becoming an anchor.
func isVendor(cert *x509.Certificate) bool {
	return slices.ContainsFunc(slices.Concat(cert.Subject.Organization, cert.Issuer.Organization), func(organization string) bool {
		return strings.EqualFold(strings.TrimSpace(organization), "Microsoft Corporation")
	})
}
