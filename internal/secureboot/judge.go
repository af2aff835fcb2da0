package secureboot

import (
	"crypto/x509"
	"fmt"
	"slices"

	"inlay/internal/cms"
	"inlay/internal/efi"
)

// Standing says what an update's signature is worth, judged by the certificates at
// hand.
type Standing string

// The standings of a signature.
const (
	StandingGood    Standing = "verified"      // by whom firmware asks for
	StandingWrong   Standing = "wrong signer"  // a good signature by somebody else
	StandingUnknown Standing = "unknown"       // its signer's certificate is not at hand
	StandingBad     Standing = "does not hold" // or cannot be read
)

// DescribedUpdate is about the signature of an update.
type DescribedUpdate struct {
	Time efi.Stamp
	// Appends says that the update adds to the variable; known of a signature
	// that verifies only, since only the signature covers it.
	Appends  bool
	Standing Standing
	// Signer is the certificate that verifies the signature or, if none does, the
	// one that the signature brings and claims; nil without either.
	Signer *x509.Certificate
	// Claim names the signer's certificate as the signature does.
	Claim string
	// Reason says why the standing is not good, or is "".
	Reason string

	update efi.Update
}

func (n Neighbours) add(name string, d *Description) {
	for _, e := range d.Entries {
		if e.Certificate != nil && !slices.ContainsFunc(n[name], e.Certificate.Equal) {
			n[name] = append(n[name], e.Certificate)
		}
	}
}

// Judge says whose the signature of an update is, by the neighbours and, of a
// platform key, by that key itself; it does nothing to other descriptions. An
// update whose variable is not known is tried as each.
func (d *Description) Judge(n Neighbours) {
	if d.Update == nil {
		return
	}
	d.Update.claim()
	names := []string{d.Variable}
	if d.Variable == "" {
		names = []string{namePK, nameKEK, nameDB, nameDBX}
	}
	for _, name := range names {
		if d.Update.judge(name, n.with(name, d)) {
			d.Variable = name
			return
		}
	}
	if slices.ContainsFunc(n.with(names[0], d).all(), d.Update.signedBy) {
		d.Update.Standing, d.Update.Reason = StandingBad, "the signature does not match what it is to sign"
	}
}

// with returns the neighbours and, if d may be a platform key, what it holds.
func (n Neighbours) with(name string, d *Description) Neighbours {
	if name != namePK {
		return n
	}
	all := Neighbours{nameKEK: n[nameKEK], nameDB: n[nameDB], namePK: slices.Clone(n[namePK])}
	all.add(namePK, d)
	return all
}

func (n Neighbours) all() []*x509.Certificate {
	return slices.Concat(n[namePK], n[nameKEK], n[nameDB])
}

func (u *DescribedUpdate) claim() {
	signed, err := cms.ParseBare(u.update.PKCS7)
	if err != nil {
		u.Standing, u.Reason = StandingBad, line(err)
		return
	}
	u.Standing, u.Reason = StandingUnknown, "its signer's certificate is not at hand; name the file or folder that has it, too"
	u.Signer = signed.Signer()
	u.Claim = fmt.Sprintf("serial number %x of %s", signed.Serial, signed.Issuer)
	if u.Signer != nil {
		u.Claim = u.Signer.Subject.String()
	}
}

// judge tries the update as one of the variable, and says whether it is.
func (u *DescribedUpdate) judge(name string, n Neighbours) bool {
	if u.Standing == StandingBad {
		return false
	}
	for _, appends := range []bool{false, true} {
		signer, err := VerifyUpdate(name, u.update, appends, n.all()...)
		if err != nil {
			continue
		}
		u.Signer, u.Claim, u.Appends = signer, signer.Subject.String(), appends
		u.Standing, u.Reason = StandingGood, ""
		if !slices.ContainsFunc(signers(name, n), signer.Equal) {
			u.Standing, u.Reason = StandingWrong, fmt.Sprintf("firmware takes %s from %s only", name, asked(name))
		}
		return true
	}
	return false
}

// signedBy says whether the signature names cert as its signer's.
func (u *DescribedUpdate) signedBy(cert *x509.Certificate) bool {
	signed, err := cms.ParseBare(u.update.PKCS7)
	return err == nil && signed.Serial.Cmp(cert.SerialNumber) == 0 && signed.Issuer.String() == cert.Issuer.String()
}

// asked names from whom firmware takes updates of a variable.
func asked(variable string) string {
	if variable == namePK || variable == nameKEK {
		return namePK
	}
	return "KEK or PK"
}
