package secureboot

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/hint"
)

// microsoftOwner is the owner that Microsoft's entries have in everybody's lists.
const microsoftOwner = "77fa9abd-0359-4d32-bd60-28f4e78f784b"

// maxOthers bounds how many files a folder of certificates may have; Microsoft
// publishes fewer than ten for each variable.
const maxOthers = 256

// readOthers returns the lists that others' certificates and hashes make for KEK
// and db. The owner is that of certificates that come without one.
func readOthers(custom, microsoft string, owner guid.GUID) (map[string][]efi.List, error) {
	all := make(map[string][]efi.List)
	if custom != "" {
		for _, name := range []string{nameKEK, nameDB} {
			lists, err := readExported(filepath.Join(custom, name))
			if err != nil {
				return nil, fmt.Errorf("reading custom cert file %s: %w", filepath.Join(custom, name), hint.Default(err,
					"the folder needs files called KEK and db, as firmware exports them; an empty file stands for none"))
			}
			all[name] = append(all[name], lists...)
		}
	}
	if microsoft != "" {
		lists, err := readFolder(microsoft, owner)
		if err != nil {
			return nil, fmt.Errorf("reading certificates in %q: %w", microsoft, err)
		}
		for name := range lists {
			all[name] = append(all[name], lists[name]...)
		}
	}
	for name := range all {
		all[name] = unique(all[name])
	}
	return all, nil
}

func readExported(name string) ([]efi.List, error) {
	data, err := readFile(name)
	if err != nil {
		return nil, err
	}
	return parseLists(data)
}

// readFolder reads a folder that has a folder called db, one called KEK, or both,
// in letters of either size. Their files are certificates (.der, .crt, .cer or
// .pem, in DER or PEM) and signature lists (.esl); other files are passed over.
func readFolder(dir string, owner guid.GUID) (map[string][]efi.List, error) {
	const layout = "it has a folder db and a folder KEK, and in these files whose names end in .der, .crt, .cer, .pem or .esl"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, hint.Default(bare(err), layout)
	}
	all := make(map[string][]efi.List)
	for _, entry := range entries {
		var name string
		switch strings.ToLower(entry.Name()) {
		case "db":
			name = nameDB
		case "kek":
			name = nameKEK
		default:
			continue
		}
		lists, err := readCertificates(filepath.Join(dir, entry.Name()), owner)
		if err != nil {
			return nil, hint.Default(err, layout)
		}
		all[name] = append(all[name], lists...)
	}
	if len(all[nameDB])+len(all[nameKEK]) == 0 {
		return nil, hint.Wrap(errors.New("there are none"), layout)
	}
	return all, nil
}

// readCertificates reads the files of one folder, in the order of their names.
func readCertificates(dir string, owner guid.GUID) ([]efi.List, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, bare(err)
	}
	if len(entries) > maxOthers {
		return nil, fmt.Errorf("%q has %d files: at most %d are read", dir, len(entries), maxOthers)
	}
	var all []efi.List
	for _, entry := range entries {
		read := func(name string) ([]efi.List, error) { return readCertificateFile(name, owner) }
		switch strings.ToLower(filepath.Ext(entry.Name())) {
		case ".esl":
			read = readExported
		case ".der", ".crt", ".cer", ".pem":
		default:
			continue
		}
		lists, err := read(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", filepath.Join(filepath.Base(dir), entry.Name()), err)
		}
		all = append(all, lists...)
	}
	return all, nil
}

func readCertificateFile(name string, owner guid.GUID) ([]efi.List, error) {
	data, err := readFile(name)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(data)
	if err != nil {
		return nil, err
	}
	microsoft, err := guid.Parse(microsoftOwner)
	if err != nil {
		return nil, err
	}
	l := efi.List{Type: efi.X509()}
	for _, c := range certs {
		e := efi.Entry{Owner: owner, Data: c.Raw}
		if isMicrosoft(c) {
			e.Owner = microsoft
		}
		l.Entries = append(l.Entries, e)
	}
	return []efi.List{l}, nil
}

// parseCertificates reads certificates in DER or PEM, at least one.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		certs, err := x509.ParseCertificates(data)
		if err == nil && len(certs) == 0 {
			err = errors.New("it is empty")
		}
		return certs, err
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, hint.Wrap(errors.New("it holds a private key"), "name the file with its certificate")
		case block.Type != "CERTIFICATE":
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return certs, nil
}

// isMicrosoft says whether a certificate says that it is Microsoft's.
func isMicrosoft(c *x509.Certificate) bool {
	return slices.Contains(c.Subject.Organization, "Microsoft Corporation")
}

// unique drops entries that came before.
func unique(lists []efi.List) []efi.List {
	seen := make(map[string]bool)
	var all []efi.List
	for _, l := range lists {
		var entries []efi.Entry
		for _, e := range l.Entries {
			key := l.Type.String() + string(e.Data)
			if !seen[key] {
				seen[key] = true
				entries = append(entries, e)
			}
		}
		if len(entries) > 0 {
			l.Entries = entries
			all = append(all, l)
		}
	}
	return all
}
