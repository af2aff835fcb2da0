package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"inlay/internal/ddi"
	"inlay/internal/hint"
	"inlay/internal/verity"
)

// stated is a root hash and who states it.
type stated struct {
	origin string
	root   [verity.DigestSize]byte
}

// checkRootHash collects every statement of the root hash. All must be the
// same, and the same as what the top of the hash tree has.
func (c *course) checkRootHash(context.Context) (State, string, error) {
	vol := &c.volume
	if vol.hash == nil {
		return Nothing, "nothing states one", nil
	}
	all, err := c.statements()
	if err != nil {
		return "", "", err
	}
	tree, err := verity.TopRoot(vol.super, vol.hash, vol.data)
	if err != nil {
		return "", "", err
	}
	if len(all) == 0 {
		return "", "", hint.Wrap(errors.New("a hash tree, but nothing states its root hash"), "put a .roothash file beside the image")
	}
	all = append(all, stated{"the tree", tree})
	var origins []string
	for _, s := range all {
		if s.root != all[0].root {
			return "", "", hint.Wrap(fmt.Errorf("%s: %x, but %s: %x: the statements of the root hash differ", all[0].origin, all[0].root, s.origin, s.root),
				"fetch or build the image again: parts of two images were put together, or one was changed")
		}
		origins = append(origins, s.origin)
	}
	vol.root, vol.protected = tree, true
	c.verdict.RootHash = hex.EncodeToString(tree[:])
	return Passed, fmt.Sprintf("%x, as stated by %s", tree, strings.Join(origins, ", ")), nil
}

// statements returns what the image and the files beside it state, and keeps the
// signatures for the check of that name.
func (c *course) statements() ([]stated, error) {
	var all []stated
	if c.image != nil {
		root, err := c.image.StatedRoot()
		if err != nil {
			return nil, err
		}
		all = append(all, stated{"the partitions", root})
		signature, err := c.image.Signature()
		switch {
		case errors.Is(err, ddi.ErrUnsigned):
		case errors.Is(err, ddi.ErrDeferred):
			c.volume.deferred = true
		case err != nil:
			// Said by the check of the signature, which cannot pass over it.
			c.volume.claims = append(c.volume.claims, claim{origin: "the signature partition", err: err})
		default:
			all = append(all, stated{"the signature", signature.RootHash})
			c.volume.claims = append(c.volume.claims, claim{origin: "the signature partition", der: signature.PKCS7, fingerprint: signature.Fingerprint})
		}
	}
	for _, s := range c.subject.Statements {
		if s.Designator != c.volume.designator {
			return nil, fmt.Errorf("%s states the root hash of a %s partition, but the image has a %s partition", s.Origin, s.Designator, c.volume.designator)
		}
		root, err := parseRoot(s.Text)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.Origin, err)
		}
		all = append(all, stated{s.Origin, root})
	}
	for _, d := range c.subject.Signatures {
		if d.Designator != c.volume.designator {
			return nil, fmt.Errorf("%s is the signature of a %s partition, but the image has a %s partition", d.Origin, d.Designator, c.volume.designator)
		}
		c.volume.claims = append(c.volume.claims, claim{origin: d.Origin, der: d.DER})
	}
	return all, nil
}

// parseRoot reads 64 hexadecimal digits and at most one newline.
func parseRoot(text string) (root [verity.DigestSize]byte, err error) {
	text = strings.TrimSuffix(text, "\n")
	if len(text) != hex.EncodedLen(len(root)) {
		return root, fmt.Errorf("a root hash has %d hexadecimal digits, not %d characters", hex.EncodedLen(len(root)), len(text))
	}
	if _, err := hex.Decode(root[:], []byte(text)); err != nil {
		return root, fmt.Errorf("reading root hash: %w", err)
	}
	return root, nil
}

// checkDenyList sees whether whoever signs here has taken the image back.
func (c *course) checkDenyList(context.Context) (State, string, error) {
	if !c.volume.protected {
		return Nothing, "without a root hash nothing can be looked up", nil
	}
	reason, denied, err := c.options.Anchors.Denied(c.volume.root)
	switch {
	case err != nil:
		return "", "", err
	case denied:
		return "", "", hint.Wrap(fmt.Errorf("the root hash has been revoked: %s", reason), "replace the extension by a newer version")
	}
	return Passed, "not revoked", nil
}
