package cli

import (
	"fmt"
	"strings"

	"inlay/internal/verify"
)

// printVerdict prints what a tired person needs: the result first, why, what to
// do, and then what each check found.
func (env *Env) printVerdict(v *verify.Verdict, trusted []anchorReport, quiet bool) {
	fmt.Fprintf(env.Stdout, "%s: %s: %s\n", printable(v.Path), v.Result, printable(headline(v)))
	if quiet {
		return
	}
	if v.Refusal != nil {
		for _, h := range v.Refusal.Hints {
			fmt.Fprintf(env.Stdout, "  hint: %s\n", printable(h))
		}
	}
	if v.Refusal != nil && v.Refusal.Check == verify.CheckSignature {
		env.printTrusted(trusted)
	}
	for _, c := range v.Checks {
		switch c.State {
		case verify.Skipped:
		case verify.Failed:
			// Why stands above.
			fmt.Fprintf(env.Stdout, "  %-12s  %s\n", c.Check, c.State)
		default:
			fmt.Fprintf(env.Stdout, "  %-12s  %-7s  %s\n", c.Check, c.State, printable(c.Found))
		}
	}
	if s := v.Signer; s != nil {
		whose := "claims to be"
		if s.Trusted {
			whose = "trusted by " + s.Anchor
		}
		usage := ""
		if len(s.KeyUsage) > 0 {
			usage = ", for " + strings.Join(s.KeyUsage, " ")
		}
		fmt.Fprintf(env.Stdout, "  signer: %s (%s), %s%s, valid %s to %s, %s\n", printable(s.Subject), printable(whose), s.Algorithm, usage,
			s.NotBefore.Format("2006-01-02"), s.NotAfter.Format("2006-01-02"), s.Fingerprint)
	}
	for _, f := range v.Findings {
		more := ""
		if f.Count > len(f.Paths) {
			more = fmt.Sprintf(" and %d more", f.Count-len(f.Paths))
		}
		fmt.Fprintf(env.Stdout, "  note: %s: %s%s\n", f.Text, printable(strings.Join(f.Paths, ", ")), more)
	}
}

// shownAnchors is how many trusted keys a refusal names.
const shownAnchors = 5

// printTrusted says who would have been trusted.
func (env *Env) printTrusted(trusted []anchorReport) {
	for i, a := range trusted {
		if i == shownAnchors {
			fmt.Fprintf(env.Stdout, "  trusted: and %d more (--json lists all)\n", len(trusted)-i)
			return
		}
		fmt.Fprintf(env.Stdout, "  trusted: %s (%s), %s\n", printable(a.Subject), printable(a.Origin), a.Fingerprint)
	}
}

// headline is the verdict in one line.
func headline(v *verify.Verdict) string {
	if v.Refusal != nil {
		return v.Refusal.Reason
	}
	switch v.Protection {
	case verify.Signed:
		return "signed by " + v.Signer.Subject
	case verify.Verity:
		return "has a hash tree, but no signature that is trusted here"
	default:
		return "unprotected: anybody who can write to it can change it"
	}
}
