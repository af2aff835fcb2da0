package secureboot

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"inlay/internal/cms"
	"inlay/internal/efi"
	"inlay/internal/hint"
)

// AppendRevocations writes an update that adds to dbx, an .auth file, to the
// firmware whose variables lie in root. It must be signed by a key in the
// firmware's KEK or PK, or by one that such a key has issued a certificate to. In
// setup mode, when firmware takes anything from anybody, it must at least be what
// its signer made of it: an addition to dbx, and not, say, the db of a set, which
// would be revoked by that.
func AppendRevocations(ctx context.Context, root *os.Root, auth []byte, o EnrollOptions) ([]Written, error) {
	done, err := appendRevocations(ctx, root, auth, o)
	if err != nil {
		return done, fmt.Errorf("adding to the firmware's dbx: %w", err)
	}
	return done, nil
}

func appendRevocations(ctx context.Context, root *os.Root, auth []byte, o EnrollOptions) ([]Written, error) {
	u, err := parseAuth(auth)
	if err != nil {
		return nil, hint.Default(err, revocationsHint)
	}
	lists, err := efi.ParseLists(u.Data)
	if err != nil {
		return nil, err
	}
	by, err := revokers(root, u)
	if err != nil {
		return nil, err
	}
	if _, err := VerifyUpdate(nameDBX, u, true, by...); err != nil {
		return nil, cmp.Or(otherUpdate(u, by), hint.Wrap(err, "have it signed by a key that is in this firmware's KEK: inlay keys revoke -k DIR"))
	}
	return carryOut(ctx, root, []write{newWrite(nameDBX, efi.KeyAttributes|efi.AppendWrite, auth, lists)}, o)
}

const revocationsHint = "name the dbx.auth that inlay keys revoke made"

// revokers returns the certificates whose keys may sign an addition to dbx.
func revokers(root *os.Root, u efi.Update) ([]*x509.Certificate, error) {
	signed, err := cms.ParseBare(u.PKCS7)
	if err != nil {
		return nil, err
	}
	signer := signed.Signer()
	setup, err := SetupMode(root)
	switch {
	case err != nil:
		return nil, err
	case setup != nil && *setup && signer == nil:
		return nil, hint.Wrap(errors.New("it does not bring its signer's certificate, and in setup mode the firmware has none to check it by"),
			"enrol the keys first")
	case setup != nil && *setup:
		return []*x509.Certificate{signer}, nil
	}
	var by []*x509.Certificate
	for _, name := range []string{nameKEK, namePK} {
		v, err := readVariable(root, name)
		if err != nil {
			return nil, hint.Default(err, "is efivarfs mounted, and does the machine know Secure Boot?")
		}
		trusted, err := efi.ParseLists(v.Data)
		if err != nil {
			return nil, fmt.Errorf("reading the firmware's %s: %w", name, err)
		}
		by = append(by, certificates(trusted)...)
	}
	// Microsoft's KEK is an authority; a certificate that it issued signs.
	if signer != nil && issuer(signer, signed.Certificates, by) != nil {
		by = append(by, signer)
	}
	return by, nil
}

// otherUpdate says what an update is if not an addition to dbx, as far as a
// signature by one of these certificates tells; else it returns nil.
func otherUpdate(u efi.Update, by []*x509.Certificate) error {
	if _, err := VerifyUpdate(nameDBX, u, false, by...); err == nil {
		return hint.Wrap(errors.New("it replaces dbx, and what is in it would be forgotten"), "have it made again to add to dbx: sign-efi-sig-list -a, or inlay keys revoke")
	}
	for _, name := range platform() {
		if _, err := VerifyUpdate(name, u, false, by...); err == nil {
			return hint.Wrap(fmt.Errorf("it is an update of %s", name), revocationsHint)
		}
	}
	return nil
}
