package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"inlay/internal/cms"
)

// The advice of judgements.
const (
	adviceTrust   = "to trust it: put its certificate into /etc/verity.d, or pass --certificate"
	adviceAnyone  = "to trust a key: put its certificate into /etc/verity.d, or pass --certificate"
	adviceAgain   = "fetch it again; if it stays so, have it signed again"
	adviceRevoked = "have it signed again with a key that is not revoked"
	adviceDates   = "check this machine's clock; if it is right, have it signed again with a certificate that is valid"
	adviceBlind   = "make the firmware's dbx readable, or do not ask for the firmware's keys"
	adviceCarried = "sign it with a key of the firmware's PK, KEK or db, or have the signed image carry its certificate in /usr/lib/verity.d"
	advicePinned  = "to trust it: add its fingerprint to the pinned ones"
)

// unknown judges a signature by nobody who is trusted.
func (j *judging) unknown(signed string) Judgement {
	result := Judgement{Signer: j.claimed, Advice: j.set.adviceTrust()}
	switch n := len(j.set.Anchors); {
	case j.set.blind:
		result.Reason, result.Advice = signed+", and no key is trusted here, since what the firmware's dbx revokes cannot be told", adviceBlind
	case n == 0:
		result.Reason, result.Advice = signed+", and no key is trusted here", adviceAnyone
	case n == 1:
		result.Reason = signed + ", which is not the one trusted key"
	default:
		result.Reason = fmt.Sprintf("%s, which is none of the %d trusted keys", signed, n)
	}
	if j.claimed == nil {
		return result
	}
	for _, a := range j.set.Anchors {
		if string(a.Certificate.RawSubject) == string(j.claimed.RawSubject) {
			result.Reason += fmt.Sprintf(" (%s has the same name and another key or date: its fingerprint is %s, the signer's %s)",
				a.Origin, shortPrint(a), shortPrint(Anchor{Certificate: j.claimed}))
			break
		}
	}
	return result
}

// broken judges a signature that cert, whom the message names, did not make.
func (j *judging) broken(cert *x509.Certificate, err error) Judgement {
	result := Judgement{Standing: Bad, Signer: j.claimed, Advice: adviceAgain}
	if errors.Is(err, cms.ErrSignature) {
		result.Reason = fmt.Sprintf("the signature is broken: %s did not sign this", nameOf(cert))
		return result
	}
	result.Reason = oneLine(fmt.Sprintf("the signature is broken: %v", err))
	return result
}

// adviceTrust is how somebody comes to be trusted here.
func (s *Set) adviceTrust() string {
	if s.carried {
		return adviceCarried
	}
	return adviceTrust
}

// revoked turns result into that of a signature by a revoked certificate.
func (j *judging) revoked(result Judgement, by *x509.Certificate) Judgement {
	result.Standing, result.Advice = Revoked, adviceRevoked
	result.Reason += "; " + revokedText(result.Signer, by)
	return result
}

// dated holds the certificates to their dates, if that was asked for.
func (j *judging) dated(result Judgement, path ...*x509.Certificate) Judgement {
	if !j.options.RequireValidDates {
		return result
	}
	for _, cert := range path {
		if fault := dateFault(cert, j.options.Now); fault != "" {
			result.Standing, result.Advice = Expired, adviceDates
			result.Reason += "; " + nameOf(cert) + " " + fault
			return result
		}
	}
	return result
}

func dateFault(cert *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(cert.NotBefore):
		return "is not valid before " + cert.NotBefore.UTC().Format(time.RFC3339)
	case now.After(cert.NotAfter):
		return "expired on " + cert.NotAfter.UTC().Format(time.RFC3339)
	}
	return ""
}
