package cli

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// printKeys prints a block for each file.
func (env *Env) printKeys(r showReport, firmware bool) {
	if firmware {
		env.printFacts([]fact{{"Secure Boot", onOff(r.SecureBoot)}, {"setup mode", onOff(r.SetupMode)}})
	}
	for i, f := range r.Files {
		if i > 0 || firmware {
			fmt.Fprintln(env.Stdout)
		}
		env.printKeyFile(f)
	}
	env.warn(r.Warnings)
}

func onOff(flag *bool) string {
	switch {
	case flag == nil:
		return "not known"
	case *flag:
		return "on"
	default:
		return "off"
	}
}

func (env *Env) printKeyFile(f fileReport) {
	what := string(f.Form)
	if f.Variable != "" && f.Form != "certificates" {
		what += " of " + f.Variable
	}
	fmt.Fprintf(env.Stdout, "%s: %s\n", printable(f.Origin), what)
	if u := f.Update; u != nil {
		text := u.Time
		if u.Appends {
			text += ", appends"
		}
		fmt.Fprintf(env.Stdout, "  made: %s\n  signed by: %s: %s\n", text, printable(cmp.Or(u.Signer, "-")), u.Standing)
		if u.Reason != "" {
			fmt.Fprintf(env.Stdout, "  %s\n", printable(u.Reason))
		}
	}
	env.printEntriesOfKeys(f.Entries)
}

// printEntriesOfKeys prints certificates as a table, and of hashes, of which dbx
// has hundreds, how many there are if there are more than a few.
func (env *Env) printEntriesOfKeys(entries []entryReport) {
	const few = 8
	if len(entries) == 0 {
		fmt.Fprintln(env.Stdout, "  nothing is in it")
		return
	}
	hashes := make(map[string]int)
	for _, e := range entries {
		if e.Subject == "" && e.Problem == "" {
			hashes[e.Type]++
		}
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  SUBJECT\tISSUER\tVALID\tOWNER\tSHA-256")
	for _, e := range entries {
		switch {
		case e.Problem != "":
			fmt.Fprintf(w, "  (%s%s)\t\t\t%s\t%s\n", typePrefix(e), printable(e.Problem), cmp.Or(e.Owner, "-"), cmp.Or(e.Hash, "-"))
		case e.Subject != "" || e.Fingerprint != "":
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", printable(cmp.Or(e.Subject, "-")), issuerText(e), validText(e), cmp.Or(e.Owner, "-"), e.Fingerprint)
		case hashes[e.Type] > few:
		default:
			fmt.Fprintf(w, "  (%s)\t-\t%s\t%s\t%s\n", e.Type, sinceText(e), cmp.Or(e.Owner, "-"), cmp.Or(e.Hash, "-"))
		}
	}
	for _, t := range []string{"sha1", "sha224", "sha256", "sha384", "sha512", "x509_sha256", "x509_sha384", "x509_sha512"} {
		if hashes[t] > few {
			fmt.Fprintf(w, "  (%s: %d of them; --json shows each)\t-\t-\t-\t-\n", t, hashes[t])
		}
	}
	w.Flush() //nolint:errcheck // whoever has lost the terminal cannot be told so on it
}

// typePrefix names the type of an entry with a problem, if that much is known.
func typePrefix(e entryReport) string {
	if e.Type == "" {
		return ""
	}
	return e.Type + ": "
}

func issuerText(e entryReport) string {
	text := printable(e.Issuer)
	if e.Issuer == e.Subject {
		text = "itself"
	}
	if e.Authority {
		text += " (an authority)"
	}
	return text
}

func validText(e entryReport) string {
	text := e.NotBefore.UTC().Format(time.DateOnly) + " to " + e.NotAfter.UTC().Format(time.DateOnly)
	if e.Expired {
		text += ", expired"
	}
	return text
}

func sinceText(e entryReport) string {
	if e.Since == nil {
		return "-"
	}
	return strings.TrimSpace("since " + e.Since.UTC().Format(time.DateTime))
}
