package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/node"
	"inlay/internal/store"
)

func newList(env *Env, k extension.Kind) *cobra.Command {
	o := changeOptions{profiles: make(map[store.Profile]*bool)}
	c := &cobra.Command{
		Use:   "list",
		Short: "List the extensions of the store, or of a boot profile",
		Long: lines(
			"List the extensions of the store, or those that a boot profile uses. No image is read:",
			"what is shown of them was found out when they were let in. See status for a verdict.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage.",
		),
		Example: examples("what a boot into recovery would use", "inlay "+k.Name+" list --recovery"),
		Args:    arguments(),
	}
	o.flags(c, false)
	for _, p := range store.Profiles() {
		o.profiles[p] = c.Flags().Bool(string(p), false, fmt.Sprintf("only those of the %s profile", p))
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		var chosen store.Profile
		for _, p := range store.Profiles() {
			if !*o.profiles[p] {
				continue
			}
			if chosen != "" {
				return usagef("pass one of them", "only one of --active, --passive, --recovery or --common can be set")
			}
			chosen = p
		}
		n, end, err := o.open(env, k, c.CommandPath())
		if err != nil {
			return err
		}
		defer end()
		entries, err := n.List(chosen)
		if err != nil {
			return err
		}
		if o.json {
			return env.printJSON(struct {
				Extensions []node.Entry `json:"extensions"`
			}{entries})
		}
		if len(entries) == 0 {
			fmt.Fprintln(env.Stderr, "no extensions")
			return nil
		}
		env.printEntries(entries, false)
		return nil
	}
	return c
}

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
		n, end, err := o.open(env, k, c.CommandPath())
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
		profile := s.Profile
		if profile == "" {
			profile = "none"
		}
		env.printFacts([]fact{
			{"profile", profile + " (" + s.State + ")"},
			{"policy", s.Policy + ": " + s.Because},
			{"others", strings.Join(s.Others, ", ")},
		})
		if len(s.Extensions) > 0 {
			fmt.Fprintln(env.Stdout)
			env.printEntries(s.Extensions, true)
		}
		for _, p := range s.Problems {
			env.warn([]string{p.Path + ": " + p.Text})
		}
		return nil
	}
	return c
}

// printEntries prints a table of extensions.
func (env *Env) printEntries(entries []node.Entry, live bool) {
	w := tabwriter.NewWriter(env.Stdout, 0, 8, 2, ' ', 0)
	head := []string{"NAME", "VERSION", "SIZE", "PROFILES", "PROTECTION", "SIGNER"}
	if live {
		head = append(head, "MERGED", "WHY NOT")
	}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, e := range entries {
		var profiles []string
		for _, p := range e.Profiles {
			profiles = append(profiles, string(p))
		}
		row := []string{e.Name, e.Version, size(e.Size), strings.Join(profiles, ","), e.Protection, e.Signer}
		if live {
			row = append(row, map[bool]string{true: "yes", false: "no"}[e.Merged], e.Why)
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

func newExplain(env *Env, k extension.Kind) *cobra.Command {
	o := nodeOptions{}
	c := &cobra.Command{
		Use:   "explain NAME",
		Short: "Walk one extension from the store to the merged system",
		Long: lines(
			"Walk one extension from the store to the merged system, name the first thing that stops",
			"it, and the command that mends that.",
			"",
			"Exit status: 0 done, whatever was found, 1 failed, 2 wrong usage, 4 not found or",
			"ambiguous.",
		),
		Example: examples("why is it not there", "inlay "+k.Name+" explain k3s"),
		Args:    arguments("NAME"),
	}
	o.flags(c, false)
	c.ValidArgsFunction = completeNames(&o, k)
	c.RunE = func(c *cobra.Command, args []string) error {
		n, end, err := o.open(env, k, c.CommandPath())
		if err != nil {
			return err
		}
		defer end()
		e, err := n.Explain(c.Context(), args[0])
		if err != nil {
			return nodeError(k, err)
		}
		if o.json {
			return env.printJSON(e)
		}
		fmt.Fprintln(env.Stdout, printable(e.FileName))
		for _, s := range e.Stages {
			done := map[bool]string{true: "yes", false: "no"}[s.Done]
			fmt.Fprintf(env.Stdout, "  %-10s  %-3s  %s\n", s.Stage, done, printable(s.Found))
			if s.Stage == e.Stopped {
				if s.Command != "" {
					fmt.Fprintf(env.Stdout, "  %-10s  %-3s  %s\n", "", "", "try: "+printable(s.Command))
				}
				break
			}
		}
		return nil
	}
	return c
}

func newInfo(env *Env, k extension.Kind) *cobra.Command {
	o := nodeOptions{}
	c := &cobra.Command{
		Use:   "info NAME",
		Short: "Show an extension's release file and contents",
		Long: lines(
			"Show what an extension of the store says of itself: its release file and its files.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 not found or ambiguous.",
		),
		Example: examples("what is in it", "inlay "+k.Name+" info k3s"),
		Args:    arguments("NAME"),
	}
	o.flags(c, false)
	c.ValidArgsFunction = completeNames(&o, k)
	c.RunE = func(c *cobra.Command, args []string) error {
		n, end, err := o.open(env, k, c.CommandPath())
		if err != nil {
			return err
		}
		defer end()
		i, err := n.Info(c.Context(), args[0])
		if err != nil {
			return nodeError(k, err)
		}
		if o.json {
			return env.printJSON(i)
		}
		env.printFacts([]fact{
			{"file", i.FileName},
			{"size", size(i.Size)},
			{"digest", i.Digest},
			{"source", i.Source},
			{"protection", i.Protection},
			{"signer", i.Signer},
			{"release", strings.Join(i.Release, " ")},
		})
		fmt.Fprintln(env.Stdout)
		for _, f := range i.Files {
			fmt.Fprintln(env.Stdout, printable(f))
		}
		return nil
	}
	return c
}
