package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/node"
	"inlay/internal/verify"
)

func newStatus(env *Env, k extension.Kind) *cobra.Command {
	o := nodeOptions{}
	c := &cobra.Command{
		Use:   "status",
		Short: "Say of each extension whether it is merged, and if not, why",
		Long: lines(
			"Say of each extension of the store whether it is merged and, if not, why: with a verdict",
			"on each, by the top of its hash tree.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage.",
		),
		Example: examples("everything, for a program", "inlay "+k.Name+" status --json"),
		Args:    arguments(),
	}
	o.flags(c, false)
	c.RunE = func(c *cobra.Command, _ []string) error {
		n, end, err := o.open(env, k, c)
		if err != nil {
			return err
		}
		defer end()
		s, err := n.Status(c.Context())
		if err != nil {
			return err
		}
		if o.json {
			return env.printJSON(s)
		}
		env.printStatus(c, k, s)
		return nil
	}
	return c
}

func (env *Env) printStatus(c *cobra.Command, k extension.Kind, s *node.Status) {
	booted := s.State
	if s.Profile != "" && s.Profile != s.State {
		booted += ", with the extensions of " + s.Profile
	}
	env.printFacts([]fact{
		{"booted", booted},
		{"policy", s.Policy + ", since " + s.Because},
		{"merged besides", strings.Join(s.Others, ", ")},
	})
	fmt.Fprintln(env.Stdout)
	if len(s.Extensions) > 0 {
		env.printEntries(s.Extensions, true)
	} else {
		fmt.Fprintln(env.Stdout, emptyText(c, k, ""))
	}
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
		head = append(head, "WHY NOT")
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, e := range entries {
		row := []string{e.Name, e.Version, size(e.Size), profileNames(e.Profiles, ","), yesNo(e.Merged), e.Guard()}
		if reasons {
			row = append(row, e.Why)
		}
		for i, cell := range row {
			if row[i] = printable(cell); cell == "" {
				row[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t "))
	}
	_ = w.Flush() // whoever has lost the terminal cannot be told so on it
}
