package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/internal/store"
)

func newBootGood(env *Env) *cobra.Command {
	var root string
	var asJSON bool
	c := &cobra.Command{
		Use:   "good",
		Short: "Mark this boot good",
		Long: lines(
			"Mark this boot good: what it linked is on trial no longer, and is what later boots",
			"of this profile fall back to. A unit or script that runs late in the boot does so,",
			"with systemd after boot-complete.target.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such root, 6 another command is",
			"changing the store.",
		),
		Example: examples("after a look at the machine", "inlay boot good"),
		Args:    arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := openRoot(root)
			if err != nil {
				return err
			}
			defer dir.Close()
			m, err := boot.Good(c.Context(), dir, dir, env.Now())
			if err != nil {
				if _, busy := errors.AsType[*store.BusyError](err); busy {
					return &exitError{err, exitBusy}
				}
				return err
			}
			if asJSON {
				return env.printJSON(m)
			}
			some := false
			for _, k := range extension.Kinds() {
				if good := m.Good[k.Name]; len(good) > 0 {
					some = true
					fmt.Fprintf(env.Stdout, "good for profile %s: %s\n", m.Profile, printable(strings.Join(good, ", ")))
				}
			}
			if !some {
				fmt.Fprintf(env.Stdout, "good for profile %s: it used no extension\n", m.Profile)
			}
			return nil
		},
	}
	c.Flags().StringVar(&root, "root", "/", "mark the boot of the system below `DIR`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
