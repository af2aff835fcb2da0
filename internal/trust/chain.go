package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"

	"inlay/internal/cms"
)

// maxChain is how many certificates a chain has at most, leaf and anchor included.
const maxChain = 5

// maxSteps bounds the search. Honest messages bring a chain and no more; sixteen
// certificates that all issued one another make some ten thousand paths.
const maxSteps = 500

// chain is a way from a signer up to an anchor.
type chain struct {
	path   []*x509.Certificate // leaf first, anchor last
	anchor Anchor
}

// climber looks for a chain.
type climber struct {
	anchors []Anchor
	pool    []*x509.Certificate // what the message brings
	// accept says whether a finished chain will do; one that won't is kept in
	// case no other is found.
	accept func([]*x509.Certificate) bool
	second *chain
	// links remembers what is wrong with child and issuer, by place: a message
	// may bring sixteen certificates of one name and key.
	links map[[2]*x509.Certificate]error
	steps int
	fault string
}

// climb looks for a chain from the claimed signer. If there are several it takes
// the first that is valid now, where dates are asked for. If there is none, fault
// says what is wrong with the first attempt that reached for an issuer.
func (j *judging) climb() (found *chain, fault string) {
	if err := checkUse(j.claimed); err != nil {
		return nil, fmt.Sprintf("%s cannot be accepted for its issuer's sake: %v", nameOf(j.claimed), err)
	}
	c := &climber{
		anchors: j.set.Anchors, pool: j.sd.Certificates,
		links: make(map[[2]*x509.Certificate]error),
		accept: func(path []*x509.Certificate) bool {
			return !j.options.RequireValidDates || !slices.ContainsFunc(path, func(cert *x509.Certificate) bool {
				return dateFault(cert, j.options.Now) != ""
			})
		},
	}
	if found := c.climb([]*x509.Certificate{j.claimed}); found != nil {
		return found, ""
	}
	return c.second, c.fault
}

// climb finishes path, whose links are sound.
func (c *climber) climb(path []*x509.Certificate) *chain {
	child := path[len(path)-1]
	if c.steps++; c.steps > maxSteps {
		return nil
	}
	for _, a := range c.anchors {
		if !c.reaches(path, a.Certificate) {
			continue
		}
		found := &chain{append(slices.Clone(path), a.Certificate), a}
		if c.accept(found.path) {
			return found
		}
		if c.second == nil {
			c.second = found
		}
	}
	for _, cert := range c.pool {
		if cert.Equal(child) || slices.ContainsFunc(path, cert.Equal) || !c.reaches(path, cert) {
			continue
		}
		if found := c.climb(append(slices.Clone(path), cert)); found != nil {
			return found
		}
	}
	return nil
}

// reaches says whether issuer may stand above the last of path, and did sign it.
func (c *climber) reaches(path []*x509.Certificate, issuer *x509.Certificate) bool {
	child := path[len(path)-1]
	if !bytes.Equal(child.RawIssuer, issuer.RawSubject) || child.Equal(issuer) {
		return false
	}
	err := c.link(child, issuer)
	switch below := len(path) - 1; {
	case err != nil:
	case len(path) == maxChain:
		err = fmt.Errorf("the chain is longer than %d certificates", maxChain)
	case issuer.MaxPathLen >= 0 && below > issuer.MaxPathLen:
		// Certificates that issued themselves would not count by RFC 5280, 4.2.1.9;
		// here they do, which is stricter.
		err = fmt.Errorf("its path length, %d, leaves no room for the %d authorities below it", issuer.MaxPathLen, below)
	default:
		return true
	}
	if c.fault == "" {
		c.fault = fmt.Sprintf("its chain fails at %s: %v", nameOf(issuer), err)
	}
	return false
}

// link checks all that does not depend on the place in the chain.
func (c *climber) link(child, issuer *x509.Certificate) error {
	pair := [2]*x509.Certificate{child, issuer}
	err, ok := c.links[pair]
	if !ok {
		err = checkLink(child, issuer)
		c.links[pair] = err
	}
	return err
}

func checkLink(child, issuer *x509.Certificate) error {
	switch {
	case !issuer.BasicConstraintsValid || !issuer.IsCA:
		return errors.New("it is no authority (CA:TRUE is missing)")
	case issuer.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("its key may not sign certificates (keyCertSign is missing)")
	}
	if err := cms.CheckKey(issuer.PublicKey); err != nil {
		return fmt.Errorf("it has an %w", err)
	}
	if err := checkExtensions(issuer); err != nil {
		return err
	}
	if err := child.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("it did not sign %s: %w", nameOf(child), err)
	}
	return nil
}

// checkUse says why cert's key may not sign what its issuer is to answer for: an
// authority that vouches for web servers too does not mean their keys.
func checkUse(cert *x509.Certificate) error {
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if cert.KeyUsage != 0 && cert.KeyUsage&signing == 0 {
		return errors.New("its key usage does not allow signatures")
	}
	if err := cms.CheckKey(cert.PublicKey); err != nil {
		return fmt.Errorf("it has an %w", err)
	}
	return checkExtensions(cert)
}

// checkExtensions says why a certificate of a chain does not mean what it seems
// to: it is for other purposes, or says so in a way not understood here.
func checkExtensions(cert *x509.Certificate) error {
	if len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) &&
		!slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return errors.New("its extended key usage does not include code signing")
	}
	for _, extension := range cert.Extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 30}) {
			// They need not be critical to be meant.
			return errors.New("it has name constraints, which are not heeded here")
		}
		if extension.Critical && !understood(extension.Id) {
			return fmt.Errorf("its critical extension %v is not understood", extension.Id)
		}
	}
	return nil
}

// understood says whether an extension is heeded here, or has nothing to say on
// signing.
func understood(id asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc([]asn1.ObjectIdentifier{
		{2, 5, 29, 14}, // subject key identifier
		{2, 5, 29, 15}, // key usage
		{2, 5, 29, 17}, // subject alternative name
		{2, 5, 29, 19}, // basic constraints
		{2, 5, 29, 35}, // authority key identifier
		{2, 5, 29, 37}, // extended key usage
	}, id.Equal)
}
