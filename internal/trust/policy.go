package trust

import (
	"errors"
	"fmt"

	"inlay/internal/hint"
)

// The words of ours, in systemd's language.
const (
	signedText = "root=signed+absent:usr=signed+absent"
	verityText = "root=verity+signed+absent:usr=verity+signed+absent"
	anyText    = "root=verity+signed+unprotected+absent:usr=verity+signed+unprotected+absent"
)

// Policy says what an image must be protected by: one of the words signed,
// verity and any, or systemd's image-policy language (systemd.image-policy(7),
// as of 260). The zero value is signed.
type Policy struct {
	word  string // "" = signed, or signed, if image is not set
	image bool
	rules policyRules
}

// ParsePolicy reads a policy.
func ParsePolicy(text string) (Policy, error) {
	switch text {
	case "signed":
		return Policy{}, nil
	case "verity", "any":
		return Policy{word: text}, nil
	case "":
		return Policy{}, hint.Wrap(errors.New("an empty policy"), "write signed, verity or any")
	}
	r, err := parsePolicyRules(text)
	if err != nil {
		return Policy{}, fmt.Errorf("reading the policy %q: %w", oneLine(text), err)
	}
	return Policy{image: true, rules: r}, nil
}

// String returns the word or the rules; ParsePolicy reads them back.
func (p Policy) String() string {
	switch {
	case p.image:
		return p.rules.text()
	case p.word == "":
		return "signed"
	}
	return p.word
}

// Systemd returns p in systemd's language, for --image-policy=.
func (p Policy) Systemd() string {
	if p.image {
		return p.rules.text()
	}
	switch p.word {
	case "verity":
		return verityText
	case "any":
		return anyText
	}
	return signedText
}

// asRules returns what p means.
func (p Policy) asRules() policyRules {
	if p.image {
		return p.rules
	}
	r, err := parsePolicyRules(p.Systemd())
	if err != nil {
		return policyRules{other: true, fallback: useAbsent} // not reached: the texts are constant
	}
	return r
}

// Found is what an image has to show. An extension has one data partition, or
// is one without a partition table.
type Found struct {
	Designator string // of the data: root or usr
	Verity     bool   // its hash tree is there, and the root hash is known
	Signed     bool   // by a trusted key, as judged by us, not by the signature's mere presence
	Signature  bool   // there is a signature, whoever made it; Signed says so too
	Naked      bool   // there is no partition table
	FileSystem string // blkid's word for what the data holds; "" = unknown
	ReadOnly   bool   // the flag in the partition table
	GrowFS     bool   // likewise
	// Mixed says that the flags of the hash tree or the signature are others
	// than those of the data. Then no rule about flags is met.
	Mixed bool
}
