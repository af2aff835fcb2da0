package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
)

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
		n, end, err := o.open(env, k, c)
		if err != nil {
			return err
		}
		defer end()
		e, err := n.Explain(c.Context(), args[0])
		if err != nil {
			return nodeError(c, k, err)
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
