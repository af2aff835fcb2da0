package secureboot

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"inlay/internal/cms"
	"inlay/internal/efi"
	"inlay/internal/guid"
	"inlay/internal/hint"
	"inlay/internal/keys"
)

// UpdateOptions says how an update writes.
type UpdateOptions struct {
	// Time is when the update was made, in whole seconds of UTC. Firmware refuses
	// an update that replaces a value and is not later than the one before. One
	// that appends needs no time, and may leave it zero.
	Time time.Time
	// Append adds the lists to the variable's value; otherwise they replace it.
	// Firmware leaves out entries that the value has already.
	Append bool
}

// NewUpdate makes the update that writes lists to the variable called name: PK,
// KEK, db, dbx and the like. by is the pair that firmware asks for: that of PK for
// PK and KEK, one of KEK for the others. No lists, where they replace, delete the
// variable.
func NewUpdate(name string, lists []efi.List, by keys.Pair, o UpdateOptions) (efi.Update, error) {
	u, err := newUpdate(name, lists, by, o)
	if err != nil {
		return efi.Update{}, fmt.Errorf("making an update of %s: %w", name, err)
	}
	return u, nil
}

func newUpdate(name string, lists []efi.List, by keys.Pair, o UpdateOptions) (efi.Update, error) {
	vendor, err := vendorOf(name)
	if err != nil {
		return efi.Update{}, err
	}
	if err := checkPair(by); err != nil {
		return efi.Update{}, err
	}
	var u efi.Update
	for _, l := range lists {
		u.Data = append(u.Data, l.Marshal()...)
	}
	if _, err := efi.ParseLists(u.Data); err != nil {
		return efi.Update{}, err
	}
	switch {
	case o.Append && len(u.Data) == 0:
		return efi.Update{}, errors.New("there is nothing to append")
	case o.Append && o.Time.IsZero():
	default:
		u.Time = efi.NewStamp(o.Time)
		if t, err := u.Time.Time(); err != nil || !t.Equal(o.Time.Truncate(time.Second)) {
			return efi.Update{}, fmt.Errorf("firmware knows no such time as %v", o.Time)
		}
	}
	if u.PKCS7, err = cms.SignBare(u.Content(name, vendor, attributes(o.Append)), by.Certificate, by.Signer); err != nil {
		return efi.Update{}, err
	}
	return u, nil
}

// VerifyUpdate returns the certificate in by whose key signed u as an update of
// the variable called name, appending or replacing. Whether firmware asks for that
// certificate, and whether the update is later than the last, is the caller's to
// know.
func VerifyUpdate(name string, u efi.Update, appending bool, by ...*x509.Certificate) (*x509.Certificate, error) {
	cert, err := verifyUpdate(name, u, appending, by)
	if err != nil {
		return nil, fmt.Errorf("verifying an update of %s: %w", name, err)
	}
	return cert, nil
}

func verifyUpdate(name string, u efi.Update, appending bool, by []*x509.Certificate) (*x509.Certificate, error) {
	vendor, err := vendorOf(name)
	if err != nil {
		return nil, err
	}
	signed, err := cms.ParseBare(u.PKCS7)
	if err != nil {
		return nil, err
	}
	if signed.Digest != crypto.SHA256 {
		// UEFI 2.10 knows no other, and older firmware refuses it.
		return nil, fmt.Errorf("it is signed over %v, and firmware takes SHA-256 only", signed.Digest)
	}
	content := u.Content(name, vendor, attributes(appending))
	var fault error
	for _, cert := range by {
		err := signed.Verify(content, cert)
		if err == nil {
			return cert, nil
		}
		if !errors.Is(err, cms.ErrOtherSigner) {
			fault = err
		}
	}
	if fault != nil {
		return nil, fault
	}
	return nil, fmt.Errorf("it names a signer that is none of those asked for: serial number %x of %q", signed.Serial, signed.Issuer)
}

// checkPair refuses what a set has of a key that is kept elsewhere.
func checkPair(by keys.Pair) error {
	switch {
	case by.Certificate == nil:
		return errors.New("no certificate is given to sign with")
	case by.Signer == nil:
		return fmt.Errorf("the key of %q is not given to sign with", by.Certificate.Subject)
	}
	return nil
}

func attributes(appending bool) uint32 {
	if appending {
		return efi.KeyAttributes | efi.AppendWrite
	}
	return efi.KeyAttributes
}

func vendorOf(name string) (guid.GUID, error) {
	vendor, ok := efi.VendorOf(name)
	if !ok {
		err := fmt.Errorf("no signed updates are known for a variable called %q", name)
		if strings.EqualFold(name, "pk") || strings.EqualFold(name, "kek") || strings.EqualFold(name, "db") || strings.EqualFold(name, "dbx") {
			return guid.GUID{}, hint.Wrap(err, "write PK, KEK, db or dbx")
		}
		return guid.GUID{}, err
	}
	return vendor, nil
}
