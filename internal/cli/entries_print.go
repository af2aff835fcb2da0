package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"inlay/internal/node"
	"inlay/internal/verify"
)

// inUse warns of an extension that is in use and refused: a policy became
// stricter, or the image was changed.
func inUse(e node.Entry) string {
	what := "merged until something is merged anew"
	switch {
	case e.Verdict != string(verify.Refused):
		return ""
	case e.Merged:
	case e.Linked:
		what = "linked"
	case len(e.Profiles) > 0:
		what = "enabled for " + profileNames(e.Profiles, ", ")
	default:
		return ""
	}
	return e.Name + " is refused, and " + what + ": out with it by " + e.Command
}

// printEntries prints a table of extensions, with what stops each if asked.
func (env *Env) printEntries(entries []node.Entry, reasons bool) {
	w := tabwriter.NewWriter(env.Stdout, 0, 8, 2, ' ', 0)
	head := []string{"NAME", "VERSION", "SIZE", "PROFILES", "MERGED", "PROTECTION"}
	if reasons {
		head = []string{"NAME", "VERSION", "SIZE", "PROFILES", "LINKED", "MERGED", "GUARANTEE", "PROTECTION", "WHY NOT"}
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, e := range entries {
		row := []string{e.Name, e.Version, size(e.Size), profileNames(e.Profiles, ","), yesNo(e.Merged), e.Guard()}
		if reasons {
			row = slices.Insert(row, 4, yesNo(e.Linked))
			row = append(slices.Insert(row, 6, e.Guarantee), e.Why)
		}
		printRow(w, row)
	}
	_ = w.Flush() // whoever has lost the terminal cannot be told so on it
}

// printRow prints a row of a table; what is not known is a dash.
func printRow(w io.Writer, row []string) {
	for i, cell := range row {
		if row[i] = printable(cell); cell == "" {
			row[i] = "-"
		}
	}
	fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t "))
}
