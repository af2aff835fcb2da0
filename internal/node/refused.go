package node

import (
	"errors"
	"fmt"

	"inlay/internal/hint"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// RefusedError is an image that may not be let in, or used.
type RefusedError struct {
	Name    string
	Verdict *verify.Verdict
	err     error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%q is %s: %v", e.Name, e.Verdict.Result, e.err)
}

func (e *RefusedError) Unwrap() error { return e.err }

// refused is the error of an image that is refused under the node's rule. What
// verify advises where the rule asks for more than there is, is about flags of
// its own; otherwise its advice comes before the one given here.
func (n *Node) refused(name string, v *verify.Verdict, advice string) error {
	why := v.Err
	if ruled := v.Refusal.Check == verify.CheckSignature || v.Refusal.Check == verify.CheckPolicy; ruled {
		switch v.Standing {
		case trust.Unknown, trust.Expired:
			why = hint.Wrap(errors.New(v.Refusal.Reason),
				"have it signed by a key that is trusted here, or put its signer's certificate into /etc/verity.d; /etc/inlay/config.yaml may set another policy")
		case trust.Trusted, trust.Revoked, trust.Bad:
		}
	}
	return &RefusedError{name, v, hint.Default(why, advice)}
}
