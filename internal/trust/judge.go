package trust

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"inlay/internal/cms"
)

// Standing is what a signature is worth.
type Standing int

// The standings. The zero value is no trust.
const (
	// Unknown: the signer is none of the anchors.
	Unknown Standing = iota
	// Trusted: an anchor signed, or, with chains, a signer that one issued.
	Trusted
	// Expired: Trusted but for the dates of a certificate, which the caller
	// asked to hold to; also one that is not valid yet.
	Expired
	// Revoked: the signer's certificate, or one that issued it, is revoked.
	Revoked
	// Bad: the signature is wrong, whoever is trusted.
	Bad
)

// String returns the standing as a word in lower case.
func (s Standing) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Trusted:
		return "trusted"
	case Expired:
		return "expired"
	case Revoked:
		return "revoked"
	case Bad:
		return "bad"
	}
	return fmt.Sprintf("standing %d", int(s))
}

// Judgement is what a [Set] has to say of a signature. Only Trusted is trust.
type Judgement struct {
	Standing Standing
	// Anchor is who vouches: set if Standing is Trusted or Expired, and if an
	// anchor that was revoked signed.
	Anchor *Anchor
	// Signer is the signer's certificate: the anchor's own, or the leaf of a
	// chain. If Standing is Unknown or Bad it is a claim: the one that the message
	// brings under its signer's name, or nil.
	Signer *x509.Certificate
	// Chain leads from the signer to the anchor, both included, if the anchor is
	// not the signer itself; else it is nil.
	Chain []*x509.Certificate
	// Reason says in one line, in lower case, why the standing is what it is.
	Reason string
	// Advice says in one line what can be done; it is empty if Standing is Trusted.
	Advice string
}

// JudgeOptions says how strict a judgement is.
type JudgeOptions struct {
	// RequireValidDates makes Expired of what is Trusted where a certificate, of
	// the signer, the anchor or between them, is not valid at Now.
	RequireValidDates bool
	Now               time.Time
}

// Judge says what the signature sd over content is worth.
//
// An anchor signed if the message names it by issuer and serial number and the
// anchor's own key verifies the signature. Several anchors may share that name:
// each is tried. If the message brings another certificate under the name of an
// anchor, that is Bad, whichever key signed.
//
// With chains, the signer may also be a certificate in the message, if an anchor
// issued it, or issued one in the message that issued it: at most five
// certificates in all, every link signed with SHA-256 or better, each issuer
// marked as an authority that may sign certificates within its path length, no
// critical extension that is not understood, the key usages, where there are
// any, those of signing code. The signature is then checked with the leaf's key.
func (s *Set) Judge(sd *cms.SignedData, content []byte, o JudgeOptions) Judgement {
	if s == nil {
		s = new(Set)
	}
	if sd == nil {
		return Judgement{Reason: "there is no signature", Advice: "have it signed"}
	}
	claimed, one := claimedSigner(sd)
	if !one {
		return Judgement{
			Standing: Bad, Signer: claimed, Advice: adviceAgain,
			Reason: "two different certificates in the message claim to be the signer's, " + nameOf(claimed),
		}
	}
	j := judging{set: s, sd: sd, content: content, options: o, claimed: claimed}
	if named := j.named(); len(named) > 0 {
		return j.anchored(named)
	}
	return j.stranger()
}

// claimedSigner returns the certificate in the message that it names as its
// signer's, or nil; one is false if there are several that differ.
func claimedSigner(sd *cms.SignedData) (claimed *x509.Certificate, one bool) {
	claimed = sd.Signer()
	if claimed == nil {
		return nil, true
	}
	for _, cert := range sd.Certificates {
		if sameName(cert, claimed) && !cert.Equal(claimed) {
			return claimed, false
		}
	}
	return claimed, true
}

// sameName says whether two certificates have one issuer and serial number,
// which is all that a message names its signer by.
func sameName(a, b *x509.Certificate) bool {
	return string(a.RawIssuer) == string(b.RawIssuer) && a.SerialNumber.Cmp(b.SerialNumber) == 0
}

// judging is one judgement on its way.
type judging struct {
	set     *Set
	sd      *cms.SignedData
	content []byte
	options JudgeOptions
	claimed *x509.Certificate // that the message brings, or nil
}

// candidate is an anchor that the message names, and whether its key signed.
type candidate struct {
	Anchor
	err error
}

// named returns the anchors, revoked ones too, that the message names as its
// signer's.
func (j *judging) named() []candidate {
	var named []candidate
	for _, anchors := range [][]Anchor{j.set.Anchors, j.set.revoked} {
		for _, a := range anchors {
			if err := j.sd.Verify(j.content, a.Certificate); !errors.Is(err, cms.ErrOtherSigner) {
				named = append(named, candidate{a, err})
			}
		}
	}
	return named
}

// anchored judges a message that names an anchor. Several may have signed, if
// they share the key too; then one that is revoked decides, and else one that is
// valid.
func (j *judging) anchored(named []candidate) Judgement {
	eligible := named
	if j.claimed != nil {
		eligible = slices.DeleteFunc(slices.Clone(named), func(c candidate) bool { return !c.Certificate.Equal(j.claimed) })
	}
	if len(eligible) == 0 {
		return Judgement{
			Standing: Bad, Signer: j.claimed, Advice: adviceAgain,
			Reason: fmt.Sprintf("the message brings another certificate under the issuer and serial number of %s (%s)",
				nameOf(named[0].Certificate), named[0].Origin),
		}
	}
	signed := slices.DeleteFunc(slices.Clone(eligible), func(c candidate) bool { return c.err != nil })
	if len(signed) == 0 {
		return j.broken(eligible[0].Certificate, eligible[0].err)
	}
	var best Judgement
	for i, c := range signed {
		result := Judgement{
			Standing: Trusted, Anchor: &signed[i].Anchor, Signer: c.Certificate,
			Reason: fmt.Sprintf("signed by %s (%s)", nameOf(c.Certificate), c.Origin),
		}
		if by := j.set.dbx.find(c.Certificate, j.sd.Certificates); by != nil {
			return j.revoked(result, by)
		}
		if result = j.dated(result, c.Certificate); i == 0 || result.Standing == Trusted {
			best = result
		}
	}
	return best
}

// stranger judges a message whose signer is no anchor.
func (j *judging) stranger() Judgement {
	left := j.leftOut()
	if j.claimed == nil && left != nil {
		j.claimed = left.Certificate
	}
	if j.claimed == nil {
		return j.unknown(fmt.Sprintf("signed by serial number %s of %s", serialText(j.sd.Serial), nameText(j.sd.Issuer)))
	}
	// It proves nothing about trust, but what fails here is wrong whoever signed.
	if err := j.sd.Verify(j.content, j.claimed); err != nil {
		return j.broken(j.claimed, err)
	}
	result := Judgement{Signer: j.claimed, Reason: "signed by " + nameOf(j.claimed)}
	if by := j.set.dbx.find(j.claimed, j.sd.Certificates); by != nil {
		return j.revoked(result, by)
	}
	fault := ""
	if j.set.chains {
		var found *chain
		if found, fault = j.climb(); found != nil {
			result.Standing, result.Anchor, result.Chain = Trusted, &found.anchor, found.path
			result.Reason += fmt.Sprintf(", which %s (%s) vouches for", nameOf(found.anchor.Certificate), found.anchor.Origin)
			return j.dated(result, found.path...)
		}
	}
	if left != nil {
		result.Reason += ", which " + left.why
		result.Advice = j.set.adviceTrust()
		if left.pins {
			result.Advice = advicePinned
		}
		return result
	}
	result = j.unknown(result.Reason)
	if fault != "" {
		result.Reason += "; " + fault
	}
	return result
}

// leftOut returns what the options kept from being the anchor that signed.
func (j *judging) leftOut() *excluded {
	for i, e := range j.set.left {
		if j.claimed != nil && !j.claimed.Equal(e.Certificate) {
			continue
		}
		if j.sd.Verify(j.content, e.Certificate) == nil {
			return &j.set.left[i]
		}
	}
	return nil
}
