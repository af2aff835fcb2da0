package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
)

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
		n, end, err := o.open(env, k, c)
		if err != nil {
			return err
		}
		defer end()
		i, err := n.Info(c.Context(), args[0])
		if err != nil {
			return nodeError(c, k, err)
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
