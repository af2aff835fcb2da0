package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

func newUnmerge(env *Env, k extension.Kind) *cobra.Command {
	o := &mergeOptions{}
	c := &cobra.Command{
		Use:   "unmerge",
		Short: fmt.Sprintf("Take merged %ss out of the running system", k.Name),
		Long: lines(
			"Take all that is merged of this kind out of the running system, whoever has merged it. It",
			"is well if nothing is.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such root, 6 busy, 130 interrupted.",
		),
		Example: examples("until the next boot, or refresh", "inlay "+k.Name+" unmerge"),
		Args:    arguments(),
	}
	o.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return runUnmerge(c.Context(), env, k, *o) }
	return c
}

func runUnmerge(ctx context.Context, env *Env, k extension.Kind, o mergeOptions) error {
	l, err := o.open(env, k)
	if err != nil {
		return err
	}
	defer l.system.close()
	report := &unmergeReport{Kind: k.Name, DryRun: o.dryRun, Unmerged: []string{}}
	home := l.home
	if o.dryRun {
		home = l.homeOrHere
	}
	err = home(func(root *os.Root) (err error) {
		e, err := l.choose(ctx, root)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		report.Engine = e.Name()
		if o.dryRun {
			merged, err := e.Merged(ctx, k)
			for _, h := range merged {
				report.Unmerged = append(report.Unmerged, h.Path)
			}
			return err
		}
		result, err := e.Unmerge(ctx, k, layer.RunOptions{NoReload: o.noReload})
		if result != nil {
			report.Unmerged = append(report.Unmerged, result.Unmerged...)
			report.Warnings = result.Warnings
		}
		return err
	})
	if err != nil {
		return layerError(k, err)
	}
	if o.json.on() {
		return env.printAs(o.json, report)
	}
	for _, path := range report.Unmerged {
		would := ""
		if o.dryRun {
			would = "would be "
		}
		fmt.Fprintf(env.Stdout, "%s: %sunmerged\n", printable(path), would)
	}
	env.warnOf(report.Warnings)
	return nil
}
