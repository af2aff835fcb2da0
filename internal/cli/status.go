package cli

import (
	"fmt"
	"io"
	"slices"
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
		entries, err := n.List(c.Context(), chosen)
		if err != nil {
			return err
		}
		if o.json.on() {
			return env.printAs(o.json, struct {
				Extensions []node.Entry `json:"extensions"`
			}{entries})
		}
		if len(entries) == 0 {
			fmt.Fprintln(env.Stderr, emptyText(k, chosen))
			return nil
		}
		env.printEntries(entries, false)
		return nil
	}
	return c
}

// emptyText says that there is nothing to list, and what to do about it.
func emptyText(k extension.Kind, p store.Profile) string {
	if p == "" {
		return fmt.Sprintf("no extensions in /%s: inlay %s download fetches one", k.Store, k.Name)
	}
	return fmt.Sprintf("no extensions are enabled for %s: inlay %s enable --%s NAME does so", p, k.Name, p)
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
		if o.json.on() {
			return env.printAs(o.json, e)
		}
		fmt.Fprintln(env.Stdout, printable(e.FileName))
		for _, s := range e.Stages {
			fmt.Fprintf(env.Stdout, "  %-10s  %-3s  %s\n", s.Stage, yesNo(s.Done), printable(s.Found))
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
		if o.json.on() {
			return env.printAs(o.json, i)
		}
		env.printFacts([]fact{
			{"file", i.FileName},
			{"size", size(i.Size)},
			{"digest", i.Digest},
			{"source", i.Source},
			{"protection", i.Guard()},
			{"profiles", profileNames(i.Profiles, ", ")},
			{"release", strings.Join(i.Release, " ")},
			{"why not", i.Why},
			{"files", i.Unread},
		})
		fmt.Fprintln(env.Stdout)
		for _, f := range i.Files {
			fmt.Fprintln(env.Stdout, printable(f))
		}
		return nil
	}
	return c
}
