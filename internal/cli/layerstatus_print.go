package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/node"
)

func (env *Env) printStatus(c *cobra.Command, k extension.Kind, s statusReport) {
	booted := s.State
	if s.Profile != "" && s.Profile != s.State {
		booted += ", with the extensions of " + s.Profile
	}
	facts := []fact{
		{"booted", booted},
		{"policy", s.Policy + ", since " + s.Because},
		{"engine", s.Engine},
	}
	for _, h := range s.Hierarchies {
		what := strings.Join(h.Extensions, ", ")
		if h.Since != nil {
			what += ", since " + timestamp(*h.Since).lines[0]
		}
		facts = append(facts, fact{"merged into " + h.Hierarchy, what})
	}
	if len(s.Hierarchies) > 0 {
		facts = append(facts, fact{"merged by", cmp.Or(s.MergedBy, "somebody else")})
	}
	env.printFacts(append(facts, fact{"merged besides", strings.Join(s.Others, ", ")}))
	fmt.Fprintln(env.Stdout)
	if len(s.Extensions) > 0 {
		env.printEntries(s.Extensions, true)
	} else {
		fmt.Fprintln(env.Stdout, emptyText(c, k, ""))
	}
	env.printFound(k, s)
	env.printConflicts(s.Conflicts)
	env.warnOf(s.Warnings)
	for _, e := range s.Extensions {
		if text := inUse(e); text != "" {
			env.warn([]string{text})
		}
	}
	for _, p := range s.Unused {
		env.warn([]string{p.Origin + ": " + p.Text})
	}
	for _, p := range s.Problems {
		text := "/" + p.Path + ": " + p.Text
		if p.Advice != "" {
			text += " (" + p.Advice + ")"
		}
		env.warn([]string{text})
	}
}

// printFound prints what lies in systemd's folders and is not of the store.
func (env *Env) printFound(k extension.Kind, s statusReport) {
	var rows [][]string
	for _, x := range s.Found {
		if slices.ContainsFunc(s.Extensions, func(e node.Entry) bool {
			return isLinkOf(x.Extension, e, k) && (x.State != layer.Shadowed || e.Why == x.Reason)
		}) {
			continue
		}
		why := x.Reason
		if why == "" && !x.Merged {
			why = notYet
		}
		if x.State != layer.Merge && x.Merged {
			why = "a refresh would leave it out: " + why
		}
		rows = append(rows, []string{x.Name, x.Path, yesNo(x.Merged), string(x.Guarantee), why})
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(env.Stdout)
	w := tabwriter.NewWriter(env.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "BESIDES\tWHERE\tMERGED\tGUARANTEE\tWHY NOT")
	for _, row := range rows {
		printRow(w, row)
	}
	_ = w.Flush() // whoever has lost the terminal cannot be told so on it
}
