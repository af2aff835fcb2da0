package secureboot

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/hint"
)

// Form is what a file of keys is.
type Form string

// The forms that Describe reads.
const (
	FormCertificates Form = "certificates"    // .pem, .der, .crt
	FormLists        Form = "signature lists" // .esl
	FormUpdate       Form = "update"          // .auth
	FormVariable     Form = "variable"        // as efivarfs shows it
)

// Description says what a file, or a variable of the firmware, holds.
type Description struct {
	// Origin is the file's name.
	Origin string
	Form   Form
	// Variable is PK, KEK, db, dbx or the like, as the file's name says; "" if it
	// does not.
	Variable string
	Entries  []DescribedEntry
	// Update is about the signature of an update; else nil.
	Update *DescribedUpdate
}

// DescribedEntry is a certificate, or an entry of a signature list.
type DescribedEntry struct {
	// Type is that of the list: "x509", "sha256", "x509_sha256" and so on.
	Type string
	// Owner is the zero GUID where no list says whose the entry is.
	Owner guid.GUID
	// Certificate is nil if the entry is none, or cannot be read.
	Certificate *x509.Certificate
	// Hash is that of a program or, in the types that begin with x509_, of what is
	// signed in a certificate; in hex, or "".
	Hash string
	// Since is from when on such a certificate is revoked; zero is always.
	Since time.Time
	// Problem says why the entry cannot be read, or is "".
	Problem string
}

// Describe says what data holds: certificates in PEM or DER, signature lists, an
// update of a variable, or a variable as its file in efivarfs has it. The name
// tells which variable is meant. The signature of an update is left to Judge.
func Describe(name string, data []byte) (*Description, error) {
	d, err := describe(name, data)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, hint.Default(err, "name certificates (.pem, .der, .crt), signature lists (.esl), updates (.auth), or files of efivarfs"))
	}
	return d, nil
}

func describe(name string, data []byte) (*Description, error) {
	d := &Description{Origin: name, Variable: variableOf(name)}
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	if isCertificate(data) {
		certs, err := parseCertificates(data)
		if err != nil {
			return nil, err
		}
		d.Form = FormCertificates
		for _, c := range certs {
			d.Entries = append(d.Entries, DescribedEntry{Type: efi.TypeName(efi.X509()), Certificate: c})
		}
		return d, nil
	}
	lists, listErr := efi.ParseLists(data)
	if listErr == nil {
		d.Form = FormLists
		d.describeLists(lists)
		return d, nil
	}
	update, updateErr := efi.ParseUpdate(data)
	v, variableErr := efi.ParseVariable(data)
	if updateErr != nil && variableErr == nil {
		if lists, listErr = efi.ParseLists(v.Data); listErr == nil {
			d.Form = FormVariable
			d.describeLists(lists)
			return d, nil
		}
		// sbvarsign --include-attrs puts attributes before an update.
		update, updateErr = efi.ParseUpdate(v.Data)
	}
	switch {
	case updateErr == nil:
		d.Form = FormUpdate
		d.Update = &DescribedUpdate{Time: update.Time, update: update}
		if lists, err := efi.ParseLists(update.Data); err != nil {
			d.Entries = []DescribedEntry{{Problem: err.Error()}}
		} else {
			d.describeLists(lists)
		}
		return d, nil
	case strings.EqualFold(filepath.Ext(name), ".auth"):
		return nil, updateErr
	case variableErr == nil:
		return nil, listErr
	default:
		return nil, errors.New("it is neither a certificate, nor signature lists, nor an update of a firmware variable")
	}
}

// isCertificate tells PEM and DER from what firmware writes.
func isCertificate(data []byte) bool {
	return strings.Contains(string(data[:min(len(data), 64<<10)]), "-----BEGIN ") || isDER(data)
}

// isDER says whether data begins as a certificate in DER does: a sequence of 128
// bytes to 64 KiB.
func isDER(data []byte) bool {
	return len(data) > 2 && data[0] == 0x30 && (data[1] == 0x81 || data[1] == 0x82)
}

func (d *Description) describeLists(lists []efi.List) {
	for _, l := range lists {
		for _, e := range l.Entries {
			d.Entries = append(d.Entries, describeEntry(l, e))
		}
	}
}

func describeEntry(l efi.List, e efi.Entry) DescribedEntry {
	d := DescribedEntry{Type: efi.TypeName(l.Type), Owner: e.Owner}
	switch l.Type {
	case efi.X509():
		c, err := x509.ParseCertificate(e.Data)
		if err != nil {
			d.Problem = "its certificate cannot be read: " + err.Error()
			break
		}
		d.Certificate = c
	case efi.X509SHA256(), efi.X509SHA384(), efi.X509SHA512():
		_, tbs, since, err := efi.Revocation(l, e)
		d.Hash, d.Since = hex.EncodeToString(tbs), since
		if err != nil {
			d.Problem = err.Error()
		}
	default:
		if len(e.Data) <= crypto.SHA512.Size() {
			d.Hash = hex.EncodeToString(e.Data)
		}
	}
	return d
}

// variableOf returns the variable that a file is named after, or "": PK.auth,
// db-d719b2cb-…, KEK.
func variableOf(name string) string {
	base := filepath.Base(name)
	if stem, _, found := strings.Cut(base, "."); found {
		base = stem
	}
	if stem, vendor, found := strings.Cut(base, "-"); found {
		if _, err := guid.Parse(vendor); err == nil {
			base = stem
		}
	}
	if _, ok := efi.VendorOf(base); ok {
		return base
	}
	return ""
}
