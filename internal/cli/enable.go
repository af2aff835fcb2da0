package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/node"
	"inlay/internal/store"
)

type changeOptions struct {
	nodeOptions
	request  node.ChangeRequest
	profiles map[store.Profile]*bool
}

// changeFlags gives c the flags of a change, with those of the profiles if it is
// one of them.
func (o *changeOptions) changeFlags(c *cobra.Command, profiles bool) {
	o.flags(c, true)
	f := c.Flags()
	f.BoolVar(&o.request.Now, "now", false, "do it in the running system too")
	f.BoolVar(&o.request.All, "all", false, "take every extension that a NAME fits")
	f.BoolVar(&o.request.DryRun, "dry-run", false, "only say what would be done")
	if !profiles {
		return
	}
	o.profiles = make(map[store.Profile]*bool)
	for _, p := range store.Profiles() {
		text := fmt.Sprintf("for the %s profile", p)
		if p == store.Common {
			text = "whatever is booted"
		}
		o.profiles[p] = f.Bool(string(p), false, text)
	}
}

// chosen are the profiles that the flags name.
func (o *changeOptions) chosen() error {
	for _, p := range store.Profiles() {
		if *o.profiles[p] {
			o.request.Profiles = append(o.request.Profiles, p)
		}
	}
	if len(o.request.Profiles) == 0 {
		return usagef("pass one or more of them", "either --active, --passive, --recovery or --common must be set")
	}
	return nil
}

const namesText = "NAME is the name of an extension, with or without its suffix, or a regular expression that fits a part of it."

func newEnable(env *Env, k extension.Kind) *cobra.Command {
	return newChange(env, k, true, (*node.Node).Enable, &cobra.Command{
		Use:   "enable NAME...",
		Short: "Use extensions in a boot profile",
		Long: lines(
			"Use extensions whenever one of the named profiles is booted. With --now they are",
			"merged at once, if it is what was booted; if that fails, nothing is changed.",
			"",
			namesText,
			"",
			"Exit status: 0 done, or so already, 1 failed, 2 wrong usage, 3 refused by trust policy,",
			"4 not found or ambiguous, 6 busy.",
		),
		Example: examples("now and at every boot of the active profile", "inlay "+k.Name+" enable --active --now k3s"),
	})
}

func newDisable(env *Env, k extension.Kind) *cobra.Command {
	return newChange(env, k, true, (*node.Node).Disable, &cobra.Command{
		Use:   "disable NAME...",
		Short: "Use extensions in a boot profile no more",
		Long: lines(
			"Use extensions no more when one of the named profiles is booted. With --now they are",
			"taken out of the running system too, unless another profile that counts has them.",
			"",
			namesText,
			"",
			"Exit status: 0 done, or so already, 1 failed, 2 wrong usage, 4 not found or ambiguous,",
			"6 busy.",
		),
		Example: examples("now, and no more at boot", "inlay "+k.Name+" disable --common --now k3s"),
	})
}

func newRemove(env *Env, k extension.Kind) *cobra.Command {
	return newChange(env, k, false, (*node.Node).Remove, &cobra.Command{
		Use:   "remove NAME...",
		Short: "Take extensions out of every profile and out of the store",
		Long: lines(
			"Take extensions out of every profile and delete their images. With --now they are taken",
			"out of the running system too.",
			"",
			namesText,
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 not found or ambiguous, 6 busy.",
		),
		Example: examples("for good", "inlay "+k.Name+" remove --now k3s"),
	})
}

func newChange(env *Env, k extension.Kind, profiles bool, do func(*node.Node, context.Context, node.ChangeRequest) (*node.Changed, error), c *cobra.Command) *cobra.Command {
	o := &changeOptions{}
	o.changeFlags(c, profiles)
	c.ValidArgsFunction = completeNames(&o.nodeOptions, k)
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("usage: "+c.UseLine(), "extension name required")
		}
		if slices.Contains(args, "") {
			return usagef("see that the variable it came from is set", "an extension's name is empty")
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if profiles {
			if err := o.chosen(); err != nil {
				return err
			}
		}
		o.request.Patterns = args
		n, end, err := o.open(env, k, c)
		if err != nil {
			return err
		}
		defer end()
		result, err := do(n, c.Context(), o.request)
		if err != nil {
			return nodeError(c, k, err)
		}
		if o.json.on() {
			return env.printAs(o.json, result)
		}
		env.printChange(c.Name(), result)
		return nil
	}
	return c
}

func (env *Env) printChange(verb string, r *node.Changed) {
	past := map[string]string{"enable": "enabled", "disable": "disabled", "remove": "removed"}[verb]
	where := ""
	if len(r.Profiles) > 0 {
		where = " for " + profileNames(r.Profiles, ", ")
	}
	switch {
	case r.DryRun:
		past = "would be " + past
	case !r.Done:
		past += " already"
	}
	for _, name := range r.Images {
		fmt.Fprintf(env.Stdout, "%s: %s%s\n", printable(name), past, where)
	}
	if r.Refreshed {
		fmt.Fprintln(env.Stdout, "the running system has been merged anew")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(env.Stdout, "note: %s\n", printable(note))
	}
}

func profileNames(profiles []store.Profile, separator string) string {
	var names []string
	for _, p := range profiles {
		names = append(names, string(p))
	}
	return strings.Join(names, separator)
}
