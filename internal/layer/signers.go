package layer

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/trust"
)

// mistrustedSince is the systemd that began to merge an image whose signature it
// cannot check by its root hash alone, where the policy lets it. Before, one such
// image is the end of the whole merge.
const mistrustedSince = 259

// adviceSigner mends what systemd has against a signature that we trust.
const adviceSigner = "put the signer's certificate into /etc/verity.d, or choose the native engine"

// checker says who, beside us, can check the signature of an item.
type checker int

const (
	nobody   checker = iota
	kernel           // perhaps: by the keys of the firmware, if it was built to ask them
	userland         // systemd, by a certificate in verity.d
)

// checkerOf returns who can check an item's signature when systemd merges it. It
// knows the signers' own certificates, no chains.
func (p *Plan) checkerOf(i *Item) checker {
	who := nobody
	s := i.Verdict.Signer
	if s == nil || !s.Trusted || p.Request.Anchors == nil {
		return who
	}
	for _, a := range p.Request.Anchors.Anchors {
		sum := a.Fingerprint()
		if hex.EncodeToString(sum[:]) != s.Fingerprint {
			continue
		}
		for origin := range strings.SplitSeq(a.Origin, ", ") {
			switch {
			case slices.ContainsFunc(trust.DefaultFolders(), func(folder string) bool { return strings.HasPrefix(origin, "/"+folder+"/") }):
				return userland
			case strings.HasPrefix(origin, "firmware "):
				who = kernel
			}
		}
	}
	return who
}

// checkable refuses an image whose signature only we trust, where that would be the
// end of systemd's whole merge, and the policy has no room for ignoring it.
func (p *Plan) checkable(i *Item) error {
	r := &p.Request
	if r.Engine != EngineSystemd || r.SetAside || !r.Policy.NeedsSignature() || i.Verdict.Signer == nil || p.checkerOf(i) != nobody {
		return nil
	}
	if r.Systemd >= mistrustedSince && !r.PolicyGiven {
		return nil
	}
	return refusedAs(hint.Wrap(fmt.Errorf("systemd %d cannot check its signature, and would merge nothing at all: its signer is trusted by %s, of which systemd knows nothing",
		r.Systemd, i.Verdict.Signer.Anchor), adviceSigner))
}

// strangers says whether something is merged whose signature systemd cannot check,
// though the policy lets it in without one: then it is to ignore signatures.
func (p *Plan) strangers() bool {
	r := &p.Request
	return !r.Policy.NeedsSignature() && slices.ContainsFunc(p.Merged(), func(i *Item) bool {
		if i.Verdict == nil || i.Verdict.Signer == nil {
			return false
		}
		return !i.Verdict.Signer.Trusted || r.Systemd < mistrustedSince && p.checkerOf(i) == nobody
	})
}

// suspects returns what systemd may have failed of when it names nothing: images
// with a signature that verity.d has no certificate for.
func (p *Plan) suspects() []*Item {
	if p.Request.SetAside {
		return nil
	}
	return slices.DeleteFunc(p.Merged(), func(i *Item) bool {
		return i.Volume == nil || i.Verdict.Signer == nil || p.checkerOf(i) == userland
	})
}
