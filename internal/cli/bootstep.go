package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
	"inlay/internal/config"
	"inlay/internal/extension"
	"inlay/internal/node"
	"inlay/internal/trial"
	"inlay/internal/trust"
)

// bootOptions are the flags of the boot step, as typed.
type bootOptions struct {
	root   string
	system string
	hook   string
	merge  bool
	trials bool
	dryRun bool
	asJSON bool
}

func (o *bootOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.root, "root", "/", "link and merge for the system below `DIR`: /sysroot in an initial RAM disk")
	f.StringVar(&o.system, "system", "/", "where this boot's /proc, /sys, /run and /dev are")
	f.StringVar(&o.hook, "hook", "", "say in the report that `WORD` called: systemd, dracut, initramfs-tools, openrc, sysvinit")
	f.BoolVar(&o.merge, "merge", false, "merge what was linked, without systemd's services")
	f.BoolVar(&o.trials, "trials", false, "leave out what boots go bad with: something must run inlay boot good")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&o.asJSON, "json", false, "print the report as JSON")
	// For tests of a whole system below a folder.
	_ = f.MarkHidden("system")
}

// runBoot runs the boot step. What goes wrong stands in the report: a boot has to go
// on, so that only wrong usage is an error.
func (env *Env) runBoot(ctx context.Context, o bootOptions) error {
	target, err := openRoot(o.root)
	if err != nil {
		return err
	}
	defer target.Close()
	system, err := openRoot(o.system)
	if err != nil {
		return err
	}
	defer system.Close()
	options := boot.Options{
		Target: target, System: system, InPlace: filepath.Clean(o.root) == filepath.Clean(o.system),
		Hook: o.hook, DryRun: o.dryRun, Now: env.Now,
		Architecture: extension.ArchitectureWord(env.Architecture),
		Trust:        bootTrust(target, system),
		Line:         func(line string) { fmt.Fprintln(env.Stderr, "inlay boot: "+printable(line)) },
	}
	if o.trials {
		options.Tries = trial.DefaultTries
	}
	if o.merge {
		options.Merger = &bootMerger{env: env, root: o.root}
	}
	report := boot.Run(ctx, options)
	if o.asJSON {
		return env.printJSON(report)
	}
	return nil
}

// bootTrust collects whom a boot trusts.
func bootTrust(target, system *os.Root) func(context.Context, *bootstate.Report) (*boot.Trust, error) {
	return func(_ context.Context, state *bootstate.Report) (*boot.Trust, error) {
		c, err := config.Load(target, config.Options{Default: true})
		if err != nil {
			return nil, err
		}
		t, err := c.TrustOptions(target)
		if err != nil {
			return nil, err
		}
		anchors, err := trust.Load(t)
		if err != nil {
			return nil, err
		}
		rule := node.RuleOf(node.Options{Anchors: anchors, Configured: c.Policy, State: state})
		return &boot.Trust{Anchors: anchors, Policy: rule.Policy, Because: rule.Because}, nil
	}
}
