package trust_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cms"
	"inlay/internal/trust"
)

// line is a chain of depth certificates, the leaf first.
func line(t *testing.T, depth int) []identity {
	t.Helper()
	chain := []identity{authority(t, "ca1", identity{})}
	for i := 2; i < depth; i++ {
		chain = append([]identity{authority(t, fmt.Sprintf("ca%d", i), chain[0])}, chain...)
	}
	return append([]identity{leaf(t, chain[0])}, chain...)
}

func TestChains(t *testing.T) {
	t.Parallel()
	critical := func(id ...int) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier(id), Critical: true, Value: []byte{5, 0}})
		}
	}
	usage := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	length := func(n int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
	}
	// issue makes an anchor and a leaf of it.
	issue := func(ca, end func(*x509.Certificate)) []identity {
		t.Helper()
		anchor := certify(t, "ca", identity{}, identity{}, ca)
		return []identity{leaf(t, anchor, end), anchor}
	}
	with := func(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, f := range changes {
				f(c)
			}
		}
	}
	plain := func(*x509.Certificate) {}

	short, long, tooLong := line(t, 2), line(t, 5), line(t, 6)
	// Another authority of the same name, which issued nothing.
	impostor := authority(t, "ca1", identity{})
	middle := func(changes ...func(*x509.Certificate)) []identity {
		t.Helper()
		anchor := authority(t, "top", identity{})
		between := certify(t, "middle", anchor, identity{}, changes...)
		return []identity{leaf(t, between), between, anchor}
	}
	pathZero := func() []identity {
		anchor := authority(t, "top", identity{}, length(0))
		between := authority(t, "middle", anchor)
		return []identity{leaf(t, between), between, anchor}
	}()

	tests := map[string]struct {
		chain    []identity // leaf first
		anchors  []*x509.Certificate
		embed    []*x509.Certificate // nil: all but the anchor
		standing trust.Standing
		reason   string
	}{
		"two":                       {short, certs(short[1]), nil, trust.Trusted, "signed by CN=leaf, which CN=ca1 (test) vouches for"},
		"five":                      {long, certs(long[4]), nil, trust.Trusted, "CN=ca1"},
		"five in disorder":          {long, certs(long[4]), certs(long[3], long[1], long[0], long[2]), trust.Trusted, "CN=ca1"},
		"five with the anchor":      {long, certs(long[4]), certs(long...), trust.Trusted, "CN=ca1"},
		"six":                       {tooLong, certs(tooLong[5]), nil, trust.Unknown, "longer than 5 certificates"},
		"six, trusted in between":   {tooLong, certs(tooLong[4]), nil, trust.Trusted, "CN=ca2"},
		"link missing":              {long, certs(long[4]), certs(long[0], long[1], long[3]), trust.Unknown, "not the one trusted key"},
		"leaf missing":              {short, certs(short[1]), certs(short[1]), trust.Unknown, "signed by serial number"},
		"anchor of the same name":   {short, certs(impostor), nil, trust.Unknown, "its chain fails at CN=ca1: it did not sign CN=leaf"},
		"both of the same name":     {short, certs(impostor, short[1]), nil, trust.Trusted, "CN=ca1"},
		"nobody trusted":            {short, nil, certs(short...), trust.Unknown, "no key is trusted here"},
		"leaf of a leaf":            {issue(plain, plain), nil, nil, trust.Unknown, "CA:TRUE is missing"},
		"CA:FALSE":                  {issue(func(c *x509.Certificate) { isCA(c); c.IsCA = false }, plain), nil, nil, trust.Unknown, "CA:TRUE is missing"},
		"no key usage":              {issue(func(c *x509.Certificate) { isCA(c); c.KeyUsage = 0 }, plain), nil, nil, trust.Unknown, "keyCertSign is missing"},
		"no keyCertSign":            {issue(func(c *x509.Certificate) { isCA(c); c.KeyUsage = x509.KeyUsageDigitalSignature }, plain), nil, nil, trust.Unknown, "keyCertSign is missing"},
		"critical in the anchor":    {issue(with(isCA, critical(1, 2, 3)), plain), nil, nil, trust.Unknown, "critical extension 1.2.3"},
		"critical in the leaf":      {issue(isCA, critical(1, 2, 3)), nil, nil, trust.Unknown, "critical extension 1.2.3"},
		"name constraints":          {issue(with(isCA, func(c *x509.Certificate) { c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"a"} }), plain), nil, nil, trust.Unknown, "has name constraints"},
		"name constraints, lax":     {issue(with(isCA, func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"a"} }), plain), nil, nil, trust.Unknown, "has name constraints"},
		"middle, name constraints":  {middle(isCA, func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"a.b"} }), nil, nil, trust.Unknown, "has name constraints"},
		"path length, direct":       {issue(with(isCA, length(0)), plain), nil, nil, trust.Trusted, "CN=ca"},
		"path length, too far":      {pathZero, nil, nil, trust.Unknown, "its path length, 0, leaves no room for the 1"},
		"for web servers":           {issue(isCA, usage(x509.ExtKeyUsageServerAuth)), nil, nil, trust.Unknown, "does not include code signing"},
		"unknown purpose":           {issue(isCA, func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }), nil, nil, trust.Unknown, "does not include code signing"},
		"for signing code":          {issue(isCA, usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageCodeSigning)), nil, nil, trust.Trusted, ""},
		"for anything":              {issue(isCA, usage(x509.ExtKeyUsageAny)), nil, nil, trust.Trusted, ""},
		"authority for web servers": {issue(with(isCA, usage(x509.ExtKeyUsageServerAuth)), plain), nil, nil, trust.Unknown, "does not include code signing"},
		"leaf for signatures":       {issue(isCA, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), nil, nil, trust.Trusted, ""},
		"leaf for encryption":       {issue(isCA, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), nil, nil, trust.Unknown, "its key usage does not allow signatures"},
		"middle":                    {middle(isCA), nil, nil, trust.Trusted, "CN=top"},
		"middle is a leaf":          {middle(plain), nil, nil, trust.Unknown, "its chain fails at CN=middle: it is no authority"},
		"middle, no keyCertSign":    {middle(isCA, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), nil, nil, trust.Unknown, "keyCertSign is missing"},
		"middle, critical":          {middle(isCA, critical(1, 2, 3)), nil, nil, trust.Unknown, "critical extension 1.2.3"},
		"middle, path length":       {middle(isCA, length(0)), nil, nil, trust.Trusted, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			embed, anchors := test.embed, test.anchors
			if embed == nil {
				embed = certs(test.chain[:len(test.chain)-1]...)
			}
			if anchors == nil && name != "nobody trusted" {
				anchors = certs(test.chain[len(test.chain)-1])
			}
			signed := message(t, content, test.chain[0], embed...)
			j := load(t, trust.Options{Given: given(anchors...), Chains: true}).Judge(signed, []byte(content), trust.JudgeOptions{})
			checkJudgement(t, j, test.standing, test.reason)
			if test.standing == trust.Trusted {
				if !equal(j.Signer, test.chain[0].cert) || !equal(j.Chain[0], j.Signer) || !equal(j.Chain[len(j.Chain)-1], j.Anchor.Certificate) {
					t.Errorf("signer %v, anchor %v, chain of %d", j.Signer.Subject, j.Anchor.Certificate.Subject, len(j.Chain))
				}
			} else if j.Anchor != nil {
				t.Error("an anchor")
			}

			// Nothing of it counts without the option, nor for other content.
			j = load(t, trust.Options{Given: given(anchors...)}).Judge(signed, []byte(content), trust.JudgeOptions{})
			if j.Standing != trust.Unknown {
				t.Errorf("without chains: %v", j.Standing)
			}
			j = load(t, trust.Options{Given: given(anchors...), Chains: true}).Judge(signed, []byte("other"), trust.JudgeOptions{})
			if j.Standing == trust.Trusted {
				t.Error("other content is trusted")
			}
		})
	}
}

// A certificate of the right name does not make its bearer the anchor's protégé.
func TestChainForged(t *testing.T) {
	t.Parallel()
	ca := authority(t, "ca", identity{})
	end := leaf(t, ca)
	set := load(t, trust.Options{Given: given(ca.cert), Chains: true})

	// The leaf is true, but somebody else signed under its name.
	thief := identity{end.cert, newKey(t)}
	der, err := cms.Assemble(signatureBy(t, thief), end.cert)
	if err != nil {
		t.Fatal(err)
	}
	checkJudgement(t, set.Judge(parse(t, der), []byte(content), trust.JudgeOptions{}), trust.Bad, "the signature is broken")

	// The leaf names the authority as issuer, and another key issued it.
	fake := leaf(t, authority(t, "ca", identity{}))
	checkJudgement(t, set.Judge(message(t, content, fake, fake.cert), []byte(content), trust.JudgeOptions{}), trust.Unknown, "it did not sign CN=leaf")
}

func signatureBy(t *testing.T, id identity) []byte {
	t.Helper()
	self := certify(t, "self", identity{}, identity{key: id.key})
	return message(t, content, self, self.cert).Signature
}

func TestChainCrossSigned(t *testing.T) {
	t.Parallel()
	good, gone := authority(t, "good", identity{}), authority(t, "gone", identity{})
	expired := func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, 0, -1) }
	middle := authority(t, "middle", good)
	crossed := certify(t, "middle", gone, identity{key: middle.key}, isCA, expired)
	end := leaf(t, middle)
	tests := map[string]struct {
		anchors, embed []*x509.Certificate
		standing       trust.Standing
		anchor         *x509.Certificate
	}{
		"one of two":         {certs(good), certs(end, crossed, middle), trust.Trusted, good.cert},
		"the other":          {certs(gone), certs(end, crossed, middle), trust.Expired, gone.cert},
		"the valid one":      {certs(gone, good), certs(end, crossed, middle), trust.Trusted, good.cert},
		"the only one there": {certs(gone, good), certs(end, crossed), trust.Expired, gone.cert},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := load(t, trust.Options{Given: given(test.anchors...), Chains: true})
			j := set.Judge(message(t, content, end, test.embed...), []byte(content), trust.JudgeOptions{RequireValidDates: true, Now: now()})
			checkJudgement(t, j, test.standing, "signed by CN=leaf, which CN=")
			if !equal(anchorOf(j), test.anchor) {
				t.Errorf("anchor %v", anchorOf(j).Subject)
			}
		})
	}
}

// Dates are held to all along the chain.
func TestChainDates(t *testing.T) {
	t.Parallel()
	expired := func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, 0, -1) }
	for late, name := range []string{"leaf", "middle", "top"} {
		change := func(i int) func(*x509.Certificate) {
			if i == late {
				return expired
			}
			return func(*x509.Certificate) {}
		}
		top := authority(t, "top", identity{}, change(2))
		middle := authority(t, "middle", top, change(1))
		end := leaf(t, middle, change(0))
		set := load(t, trust.Options{Given: given(top.cert), Chains: true})
		signed := message(t, content, end, end.cert, middle.cert)
		checkJudgement(t, set.Judge(signed, []byte(content), trust.JudgeOptions{}), trust.Trusted, "")
		j := set.Judge(signed, []byte(content), trust.JudgeOptions{RequireValidDates: true, Now: now()})
		checkJudgement(t, j, trust.Expired, "CN="+name+" expired on")
	}
}

// Certificates of one name and key have all issued one another; the search ends.
func TestChainMaze(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	var embed []*x509.Certificate
	for range 15 {
		embed = append(embed, certify(t, "maze", identity{}, identity{key: key}, isCA).cert)
	}
	end := leaf(t, identity{embed[0], key})
	var anchors []*x509.Certificate
	for range 20 {
		anchors = append(anchors, authority(t, "maze", identity{}).cert)
	}
	set := load(t, trust.Options{Given: given(anchors...), Chains: true})
	j := set.Judge(message(t, content, end, append(embed, end.cert)...), []byte(content), trust.JudgeOptions{})
	checkJudgement(t, j, trust.Unknown, "its chain fails at CN=maze")
}

// A chain is as strong as its weakest key.
func TestChainWeakKey(t *testing.T) {
	t.Parallel()
	middleKey, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	top := authority(t, "top", identity{})
	middle := certify(t, "middle", top, identity{key: middleKey}, isCA)
	end := leaf(t, middle)
	set := load(t, trust.Options{Given: given(top.cert), Chains: true})
	j := set.Judge(message(t, content, end, end.cert, middle.cert), []byte(content), trust.JudgeOptions{})
	checkJudgement(t, j, trust.Unknown, "its chain fails at CN=middle: it has an RSA key of 1024 bits")
}

func TestStandingWords(t *testing.T) {
	t.Parallel()
	var words []string
	for s := trust.Unknown; s <= trust.Bad+1; s++ {
		words = append(words, s.String())
	}
	if diff := cmp.Diff([]string{"unknown", "trusted", "expired", "revoked", "bad", "standing 5"}, words); diff != "" {
		t.Error(diff)
	}
	var zero trust.Judgement
	if zero.Standing != trust.Unknown {
		t.Error("the zero judgement is not unknown")
	}
}
