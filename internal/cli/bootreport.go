package cli

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"inlay/internal/boot"
	"inlay/internal/hint"
	"inlay/internal/layer"
)

func newBootReport(env *Env) *cobra.Command {
	var root string
	var asJSON bool
	c := &cobra.Command{
		Use:   "report",
		Short: "Say what the boot step of this boot linked, left out and refused, and why",
		Long: lines(
			"Print the report of this boot's step: whom it trusted, what it linked, what it left",
			"out or refused and why, what it took into the store and how long each step took.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such root, or no report: the step",
			"has not run in this boot.",
		),
		Example: lines(
			examples("what happened at boot", "inlay boot report"),
			examples("what was not linked, for a script", `inlay boot report --json | jq '.extensions[] | select(.result != "linked")'`),
		),
		Args: arguments(),
		RunE: func(*cobra.Command, []string) error {
			dir, err := openRoot(root)
			if err != nil {
				return err
			}
			defer dir.Close()
			r, err := boot.ReadReport(dir)
			if err != nil {
				return err
			}
			if r == nil {
				return notFound(hint.Wrap(errors.New("the boot step has not run in this boot"), "inlay boot install has it run at each boot; inlay boot runs it now"))
			}
			if filepath.Clean(root) == "/" {
				checked(r.Extensions, layer.MappedRoots())
			}
			if asJSON {
				return env.printJSON(r)
			}
			env.printBootReport(r)
			return nil
		},
	}
	c.Flags().StringVar(&root, "root", "/", "look at the running system below `DIR`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
