package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
	"inlay/internal/trust"
)

// mergeOptions are the flags of commands that merge, as typed.
type mergeOptions struct {
	nodeOptions
	engine      string
	imagePolicy string
	mutable     string
	noExec      truth
	always      truth
	force       bool
	noReload    bool
	dryRun      bool
	files       bool
	anew        bool // nothing may be merged yet
}

// flags gives c the flags that all of them have; mergeFlags adds those of a merge.
func (o *mergeOptions) flags(c *cobra.Command) {
	o.nodeOptions.flags(c, false)
	f := c.Flags()
	f.StringVar(&o.engine, "engine", "", "who merges: auto, systemd or native (default: the configuration's, or auto)")
	f.BoolVar(&o.noReload, "no-reload", false, "leave the service manager alone, whatever extensions ask for")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	complete(c, "engine", engineNames()...)
}

func (o *mergeOptions) mergeFlags(c *cobra.Command) {
	o.flags(c)
	f := c.Flags()
	f.StringVar(&o.imagePolicy, "image-policy", "", "what an image must have: signed, verity, any, or an image policy of systemd (default: the configuration's, or what the machine's keys ask for)")
	f.StringVar(&o.mutable, "mutable", "", "where what is written goes: no, auto, yes, import, ephemeral or ephemeral-import (default: the configuration's, or no)")
	o.noExec.flag(c, "noexec", "whether programs in the merged folders may not be run (default: true for confexts, except where init runs scripts below /etc)")
	f.BoolVar(&o.force, "force", false, "merge what was made for other hosts, too, and what replaces folders of the host by files or links by folders")
	f.BoolVar(&o.files, "files", false, "with --dry-run, name each file that would be added, replaced or vanish")
	complete(c, "image-policy", "signed", "verity", "any")
	complete(c, "mutable", modeNames()...)
}

// modeNames are the words for the modes of mutability.
func modeNames() []string {
	var names []string
	for _, m := range layer.Modes() {
		names = append(names, string(m))
	}
	return names
}

const mergeExits = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused by trust policy, 4 no such root,\n6 busy, 130 interrupted. What is left out stops nothing else, and is warned of: it is 3\nonly if extensions were refused and nothing at all is merged."

func newMerge(env *Env, k extension.Kind) *cobra.Command {
	o := &mergeOptions{}
	c := &cobra.Command{
		Use:   "merge",
		Short: fmt.Sprintf("Merge %ss into the running system", k.Name),
		Long: lines(
			fmt.Sprintf("Merge the %ss that lie in systemd's folders (see docs/layering.md) into the running", k.Name),
			"system: those that fit it and that the policy lets in. It fails where something is merged",
			"already; refresh doesn't.",
			"",
			mergeExits,
		),
		Example: examples("what would be merged, and which file would win", "inlay "+k.Name+" merge --dry-run --files"),
		Args:    arguments(),
	}
	o.mergeFlags(c)
	o.anew = true
	c.RunE = func(c *cobra.Command, _ []string) error {
		return runMerge(c.Context(), env, k, *o, func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error) {
			return e.Merge(ctx, p, layer.RunOptions{NoReload: o.noReload})
		})
	}
	return c
}

func newRefresh(env *Env, k extension.Kind) *cobra.Command {
	o := &mergeOptions{}
	c := &cobra.Command{
		Use:   "refresh",
		Short: fmt.Sprintf("Merge %ss anew", k.Name),
		Long: lines(
			"Merge anew what lies in systemd's folders now, whatever is merged. Nothing is done if",
			"nothing has changed. If it fails, the old merge stays.",
			"",
			mergeExits,
		),
		Example: examples("after an image was exchanged", "inlay "+k.Name+" refresh"),
		Args:    arguments(),
	}
	o.mergeFlags(c)
	o.always.flag(c, "always-refresh", "do so even if nothing has changed")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return runMerge(c.Context(), env, k, *o, func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error) {
			return e.Refresh(ctx, p, layer.RunOptions{NoReload: o.noReload, Always: o.always.on()})
		})
	}
	return c
}

// open opens the system with what the flags say of merging.
func (o *mergeOptions) open(env *Env, k extension.Kind) (*layering, error) {
	if o.files && !o.dryRun {
		return nil, usagef("pass --dry-run too", "--files is about what would be done")
	}
	policy, err := policyFlag(o.imagePolicy)
	if err != nil {
		return nil, err
	}
	var mode layer.Mode
	if o.mutable != "" {
		if mode, err = layer.ParseMode(o.mutable); err != nil {
			return nil, usage(fmt.Errorf("--mutable: %w", err))
		}
	}
	if o.engine != "" {
		if _, err := choice("--engine", o.engine, engineNames()...); err != nil {
			return nil, err
		}
	}
	if !o.dryRun && env.User != 0 {
		return nil, hint.Wrap(errors.New("only root can change what is merged"), "run it as root, or see what it would do with --dry-run")
	}
	s, err := openSystem(o.root)
	if err != nil {
		return nil, err
	}
	if s.state.TrustedBoot && policy != nil && !policy.NeedsSignature() {
		defer s.close()
		return nil, s.refuseWeaker("--image-policy", o.imagePolicy)
	}
	l := newLayering(env, s, k)
	if policy != nil {
		l.hold(*policy)
	}
	if o.engine != "" {
		l.engine = o.engine
	}
	if mode != "" {
		l.request.Mutable = mode
	}
	l.request.NoExec = o.noExec.value
	l.request.Force, l.request.Override = o.force, o.force
	return l, nil
}

// policyFlag reads a policy of the command line, nil if there is none.
func policyFlag(text string) (*trust.Policy, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	p, err := trust.ParsePolicy(text)
	if err != nil {
		return nil, usage(hint.Default(fmt.Errorf("--image-policy: %w", err), "write signed, verity or any, or see systemd.image-policy(7)"))
	}
	return &p, nil
}

func runMerge(ctx context.Context, env *Env, k extension.Kind, o mergeOptions, do verb) error {
	l, err := o.open(env, k)
	if err != nil {
		return err
	}
	defer l.system.close()
	var said []layer.Warning
	switch {
	case o.dryRun:
		do = nil
	case !o.json.on():
		do = env.before(do, &said)
	}
	var report *mergeReport
	err = l.execute(ctx, do, func(e layer.Engine, p *layer.Plan, r *layer.Result, root *os.Root) (err error) {
		report, err = l.report(ctx, e, p, r, root)
		if err == nil && o.dryRun {
			err = l.rehearse(ctx, o, e, p, root, report)
		}
		return err
	})
	if err != nil {
		if report != nil && !o.json.on() {
			env.warnMerge(report, said)
		}
		return layerError(k, err)
	}
	if o.json.on() {
		if err := env.printAs(o.json, report); err != nil {
			return err
		}
		return answered(exitCode(report.verdict(k)))
	}
	env.printMerge(k, report)
	env.warnMerge(report, said)
	return report.verdict(k)
}
