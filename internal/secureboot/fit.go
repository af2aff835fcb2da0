package secureboot

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"inlay/internal/efi"
	"inlay/internal/hint"
)

// fit refuses files of several sets in one folder, and warns of what firmware
// would not take outside setup mode.
func (s *Set) fit() error {
	for _, name := range platform() {
		data, ok := s.auth[name]
		if !ok {
			continue
		}
		_, lists, err := readAuth(name, data)
		if err != nil {
			return err
		}
		inside := certificates(lists)
		if own := s.pair(name).Certificate; own != nil && !slices.ContainsFunc(inside, own.Equal) {
			return hint.Wrap(fmt.Errorf("%s.auth does not hold the certificate in %s.pem", name, name),
				"the files come from two runs: bring one set together, or make a new one")
		}
		ext := s.Extension.Certificate
		if ext != nil && slices.ContainsFunc(inside, ext.Equal) {
			s.warn(fmt.Sprintf("%s.auth holds the certificate for extensions: firmware would start programs signed with it, too", name))
		}
		if name == nameDB {
			s.warn(extensionStarts(ext, inside))
		}
	}
	for _, err := range s.chain() {
		s.warn(line(err))
	}
	return nil
}

// extensionStarts warns if one of db's certificates has issued that for extensions,
// and is "" otherwise: then it doesn't help that db has not the latter itself.
func extensionStarts(extension *x509.Certificate, db []*x509.Certificate) string {
	for _, c := range db {
		if hasIssued(c, extension) && !c.Equal(extension) {
			return fmt.Sprintf("firmware would start programs signed with the key for extensions: db holds its authority %q; make that key without an authority, or leave the authority out of db", c.Subject)
		}
	}
	return ""
}

// platform names the variables of a set, in the order in which each is signed by
// one before it.
func platform() []string { return []string{namePK, nameKEK, nameDB} }

// readAuth reads the .auth file of a variable.
func readAuth(name string, data []byte) (efi.Update, []efi.List, error) {
	u, err := parseAuth(data)
	if err != nil {
		return efi.Update{}, nil, fmt.Errorf("reading %q: %w", name+".auth", err)
	}
	lists, err := efi.ParseLists(u.Data)
	if err != nil {
		return efi.Update{}, nil, fmt.Errorf("reading %q: %w", name+".auth", err)
	}
	if name != namePK {
		return u, lists, nil
	}
	if len(lists) != 1 || lists[0].Type != efi.X509() || len(lists[0].Entries) != 1 {
		return efi.Update{}, nil, hint.Wrap(fmt.Errorf("reading %q: a platform key is exactly one certificate", name+".auth"), "make a new set")
	}
	return u, lists, nil
}

// parseAuth reads an update that is meant for firmware and boot loaders.
func parseAuth(data []byte) (efi.Update, error) {
	u, err := efi.ParseUpdate(data)
	if err == nil {
		return u, nil
	}
	if v, variableErr := efi.ParseVariable(data); variableErr == nil {
		if _, updateErr := efi.ParseUpdate(v.Data); updateErr == nil {
			return efi.Update{}, hint.Wrap(errors.New("it begins with attributes, which no firmware expects in a file"),
				"make it without them: sbvarsign does so without --include-attrs")
		}
	}
	return efi.Update{}, err
}

// chain says of which updates the signature is not by whom firmware asks for.
func (s *Set) chain() []error {
	var faults []error
	known := map[string][]*x509.Certificate{}
	for _, name := range platform() {
		if own := s.pair(name).Certificate; own != nil {
			known[name] = append(known[name], own)
		}
		data, ok := s.auth[name]
		if !ok {
			continue
		}
		u, lists, err := readAuth(name, data)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		known[name] = append(known[name], certificates(lists)...)
		if _, err := VerifyUpdate(name, u, false, signers(name, known)...); err != nil {
			faults = append(faults, fmt.Errorf("%s.auth counts in setup mode only: %w", name, err))
		}
	}
	return faults
}

// signers are those from whom firmware takes updates of a variable.
func signers(variable string, known map[string][]*x509.Certificate) []*x509.Certificate {
	if variable == namePK || variable == nameKEK {
		return known[namePK]
	}
	return slices.Concat(known[nameKEK], known[namePK])
}
