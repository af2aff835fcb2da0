package cli

import (
	"fmt"

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
		n, end, err := o.open(env, k, c)
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
			fmt.Fprintln(env.Stderr, emptyText(c, k, chosen))
			return nil
		}
		env.printEntries(entries, false)
		return nil
	}
	return c
}

// emptyText says that there is nothing to list, and what to do about it.
func emptyText(c *cobra.Command, k extension.Kind, p store.Profile) string {
	command := c.Parent().CommandPath()
	if p == "" {
		return fmt.Sprintf("no extensions in /%s: %s download fetches one", k.Store, command)
	}
	return fmt.Sprintf("no extensions are enabled for %s: %s enable --%s NAME does so", p, command, p)
}
