package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/rooted"
)

// efivars is where Linux shows the firmware's variables.
const efivars = "sys/firmware/efi/efivars"

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

// firmware reads the revocations and anchors of the firmware. What dbx revokes
// and what is at hand for finding issuers is taken whatever state Secure Boot is
// in; anchors are taken only if nobody but the owner of PK could have written
// them, and only if dbx, which may take them back, could be read.
func (l *loader) firmware() {
	names, err := rooted.ReadNames(l.options.Root, l.folderOfVariables(), maxNames)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(names) == 0:
		// The kernel makes the folder that efivarfs is to be mounted on.
		l.problem("firmware", "no variables at %s: no UEFI here, or efivarfs is not mounted", shown(l.folderOfVariables()))
		return
	case err != nil:
		l.problem("firmware", "no key of it is used: reading %s: %s", shown(l.folderOfVariables()), reason(err))
		return
	}
	usable := l.revocations()
	if err := l.secured(); err != nil {
		l.problem("firmware", "no key of it is used: %v", err)
		usable = false
	}
	var vendors []string
	for _, v := range keyVariables() {
		certs, problems := l.keys(v)
		if usable {
			l.set.Problems = append(l.set.Problems, problems...)
		}
		for _, cert := range certs {
			l.know(cert)
			switch {
			case !usable:
			case isVendor(cert) && !l.options.VendorCAs:
				vendors = append(vendors, nameOf(cert)+" ("+v.name+")")
				l.set.left = append(l.set.left, excluded{
					Anchor{cert, v.origin()},
					"the firmware trusts for boot loaders, but is a vendor's and was not asked for", false,
				})
			default:
				l.add(cert, v.origin())
			}
		}
	}
	if len(vendors) > 0 {
		l.problem("firmware", "%d vendor certificates are not trusted for extensions unless asked for: %s",
			len(vendors), strings.Join(vendors, "; "))
	}
}

func (l *loader) folderOfVariables() string {
	if l.options.EFIVars != "" {
		return l.options.EFIVars
	}
	return efivars
}

// read reads a variable.
func (l *loader) read(v variable) (efi.Variable, error) {
	b, err := rooted.ReadFile(l.options.Root, path.Join(l.folderOfVariables(), efi.FileName(v.name, v.vendor)), efi.MaxSize)
	if err != nil {
		return efi.Variable{}, err
	}
	return efi.ParseVariable(b)
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
		v, err := l.read(variable{want.name, efi.GlobalVariable()})
		if err != nil {
			return fmt.Errorf("reading variable %s: %s", want.name, reason(err))
		}
		on, err := v.Flag()
		if err != nil {
			return fmt.Errorf("reading variable %s: %w", want.name, err)
		}
		if on != want.on {
			return errors.New(want.why)
		}
	}
	return nil
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
