package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"inlay/internal/cms"
	"inlay/internal/ddi"
	"inlay/internal/hint"
	"inlay/internal/trust"
)

// claim is a signature as it was found.
type claim struct {
	origin      string
	der         []byte
	fingerprint [32]byte // that the image states; zero if it states none
	err         error    // it could not even be taken out of the image
}

// checkSignature judges every signature that was found. What is wrong whoever
// signed refuses under any policy; a signer who is not known here only where
// the policy wants one who is.
func (c *course) checkSignature(context.Context) (State, string, error) {
	if len(c.volume.claims) == 0 {
		return c.unsigned()
	}
	// All are judged before any counts: systemd would take the one beside the
	// image first, and what is wrong with one refuses whatever the others say.
	var worst trust.Judgement
	for i, cl := range c.volume.claims {
		j, err := c.judge(cl)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", cl.origin, err)
		}
		if i == 0 || gravity(j.Standing) > gravity(worst.Standing) {
			worst = j
		}
	}
	c.verdict.Standing = worst.Standing
	c.describeSigner(worst)
	reason := hint.Wrap(errors.New(worst.Reason), worst.Advice)
	switch worst.Standing {
	case trust.Trusted:
		return Passed, worst.Reason, nil
	case trust.Unknown, trust.Expired:
		if !c.options.Policy.NeedsSignature() {
			return Passed, "counts as none: " + worst.Reason, nil
		}
	case trust.Revoked, trust.Bad:
	}
	return "", "", reason
}

// gravity orders standings: of several signatures, the worst counts.
func gravity(s trust.Standing) int {
	return slices.Index([]trust.Standing{trust.Trusted, trust.Expired, trust.Unknown, trust.Revoked, trust.Bad}, s)
}

// unsigned is checkSignature where there is none.
func (c *course) unsigned() (State, string, error) {
	what, advice := "not signed", "sign it with inlay sign, or let unsigned images in with --policy verity"
	switch {
	case c.verdict.Form == formFolder:
		what, advice = "a folder can carry no signature", "build an image of it with inlay build"
	case !c.volume.protected:
		what, advice = "without a hash tree nothing can be signed", "build an image of its content with inlay build"
	case c.volume.deferred:
		what, advice = "not signed yet: the place for a signature is empty", "sign it with inlay sign"
	}
	if c.options.Policy.NeedsSignature() {
		return "", "", hint.Wrap(fmt.Errorf("%s, and the policy wants a signature by a trusted key", what), advice)
	}
	return Nothing, what, nil
}

// judge asks the anchors about one signature. The error is a signature that
// can be nobody's.
func (c *course) judge(cl claim) (trust.Judgement, error) {
	if cl.err != nil {
		return trust.Judgement{}, cl.err
	}
	message, err := cms.Parse(cl.der)
	if err != nil {
		return trust.Judgement{}, err
	}
	j := c.options.Anchors.Judge(message, ddi.SignedText(c.volume.root), trust.JudgeOptions{
		Now: c.options.Now, RequireValidDates: c.options.RequireValidDates,
	})
	if cl.fingerprint != [32]byte{} && j.Signer != nil && sha256.Sum256(j.Signer.Raw) != cl.fingerprint {
		return trust.Judgement{}, fmt.Errorf("the image states that a certificate %x signed it, but the signature is by %x", cl.fingerprint, sha256.Sum256(j.Signer.Raw))
	}
	return j, nil
}

// describeSigner puts whoever signed, or claims to, into the verdict.
func (c *course) describeSigner(j trust.Judgement) {
	if j.Signer == nil {
		return
	}
	sum := sha256.Sum256(j.Signer.Raw)
	c.verdict.Signer = &Signer{
		Subject: j.Signer.Subject.String(), Issuer: j.Signer.Issuer.String(), Serial: j.Signer.SerialNumber.Text(16),
		Fingerprint: hex.EncodeToString(sum[:]), Algorithm: keyAlgorithm(j.Signer),
		NotBefore: j.Signer.NotBefore.UTC(), NotAfter: j.Signer.NotAfter.UTC(), KeyUsage: keyUsages(j.Signer),
		Trusted: j.Standing == trust.Trusted,
	}
	if j.Anchor != nil {
		c.verdict.Signer.Anchor = j.Anchor.Origin
	}
}

func keyAlgorithm(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	}
	return cert.PublicKeyAlgorithm.String()
}

// keyUsages are the words of RFC 5280 for what a certificate may be used for.
// They are shown and not enforced, as neither systemd nor the kernel does.
func keyUsages(cert *x509.Certificate) []string {
	var words []string
	for i, word := range []string{
		"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment",
		"keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
	} {
		if cert.KeyUsage&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	if cert.IsCA {
		words = append(words, "CA")
	}
	return words
}

// checkPolicy asks whether what was found is enough. That the data is what the
// tree says is still to be shown, and refuses later if it isn't.
func (c *course) checkPolicy(context.Context) (State, string, error) {
	found := trust.Found{
		Designator: c.volume.designator, Verity: c.volume.protected,
		Signature: len(c.volume.claims) > 0, Naked: c.image == nil,
		Signed:     c.volume.protected && c.verdict.Standing == trust.Trusted && len(c.volume.claims) > 0,
		FileSystem: c.volume.fileSystem, ReadOnly: c.volume.readOnly, GrowFS: c.volume.growFS, Mixed: c.volume.mixed,
	}
	used, err := c.options.Policy.Used(found)
	if err != nil {
		return "", "", err
	}
	c.used = used
	return Passed, fmt.Sprintf("%s, which the policy %q allows", c.protection(), c.options.Policy), nil
}
