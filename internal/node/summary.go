package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"inlay/internal/store"
	"inlay/internal/verify"
)

// summarize keeps of a verdict what a list shows and what a replacement is
// compared with.
func summarize(v *verify.Verdict) *store.Summary {
	s := &store.Summary{
		Result: string(v.Result), Protection: string(v.Protection), RootHash: v.RootHash,
		Architecture: v.Architecture, Kind: v.Kind, Version: v.Version,
	}
	switch {
	case v.Signer != nil:
		s.Signer, s.SignerFingerprint, s.Anchor = v.Signer.Subject, v.Signer.Fingerprint, v.Signer.Anchor
	case hasSignature(v):
		s.Signer = unnamed
	}
	if v.Refusal != nil {
		s.Reason = v.Refusal.Reason
	}
	return s
}

// unnamed stands for the signer where a signature neither brings a certificate
// nor is by anybody who is trusted.
const unnamed = "somebody unnamed"

// signerOf tells a signer from others of the same name.
func signerOf(s *store.Summary) string {
	if s.SignerFingerprint == "" {
		return s.Signer
	}
	return fmt.Sprintf("%s (%.16s…)", s.Signer, s.SignerFingerprint)
}

// hasSignature says that an image has a signature, and that it could be looked at.
func hasSignature(v *verify.Verdict) bool {
	return v.Signer != nil || slices.ContainsFunc(v.Checks, func(c verify.Check) bool {
		return c.Check == verify.CheckSignature && c.State == verify.Passed
	})
}

// look judges an image of the store by its top: enough to say whose it is, not
// that no block was changed since.
func (n *Node) look(ctx context.Context, im store.Image) (*verify.Verdict, error) {
	f, err := n.store.OpenImage(im)
	if err != nil {
		return verify.Unopened(im.Path, verify.Options{Policy: n.rule.Policy}, err), nil
	}
	v, err := n.judge(ctx, &verify.Subject{Path: im.FileName, Image: f, Size: im.Size}, verify.Top, nil)
	return v, errors.Join(err, f.Close())
}
