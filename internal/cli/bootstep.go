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
	"inlay/internal/integration"
	"inlay/internal/layer"
	"inlay/internal/trial"
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
	f.StringVar(&o.hook, "hook", "", "say in the report that `WORD` called: systemd, dracut, initramfs-tools, openrc, sysvinit, busybox")
	f.BoolVar(&o.merge, "merge", false, "merge what was linked, without systemd's services")
	f.BoolVar(&o.trials, "trials", false, "leave out what boots go bad with: something must run inlay boot good")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&o.asJSON, "json", false, "print the report as JSON")
	// For tests of a whole system below a folder.
	_ = f.MarkHidden("system")
	complete(c, "hook", integration.Names()...)
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
	inPlace := filepath.Clean(o.root) == filepath.Clean(o.system)
	if inPlace {
		system = target
	}
	merger := &bootMerger{env: env}
	options := boot.Options{
		Target: target, System: system, InPlace: inPlace,
		Hook: o.hook, DryRun: o.dryRun, Now: env.Now,
		Architecture: extension.ArchitectureWord(env.Architecture),
		Trust:        merger.trust(target, system),
		Line:         func(line string) { fmt.Fprintln(env.Stderr, "inlay boot: "+printable(line)) },
	}
	options.SetAside = func(ctx context.Context, k extension.Kind) error {
		return layer.New(system, layer.Options{Getenv: env.Getenv, Now: env.Now}).SetAside(ctx, k)
	}
	if inPlace { // else systemd reads the settings of the target later
		options.Reload = layer.New(system, layer.Options{Getenv: env.Getenv, Now: env.Now}).Reload
	}
	// A configuration that cannot be read is told of by the step itself.
	if c, err := config.Load(target, config.Options{Default: true}); err == nil {
		options.PerImage, options.Total, options.Strict = c.Boot.ImageTime, c.Boot.Time, isTrue(c.Boot.Strict)
		if o.trials {
			options.Tries = trial.DefaultTries
			if c.Boot.Tries != nil {
				options.Tries = *c.Boot.Tries
			}
		}
	} else if o.trials {
		options.Tries = trial.DefaultTries
	}
	if o.merge {
		options.Merger = merger
	}
	report := boot.Run(ctx, options)
	if o.asJSON {
		return env.printJSON(report)
	}
	if o.dryRun {
		env.printBootReport(report)
	}
	return nil
}

// trust collects whom a boot trusts, for the step and for the merge at its end.
func (m *bootMerger) trust(target, host *os.Root) func(context.Context, *bootstate.Report) (*boot.Trust, error) {
	return func(ctx context.Context, state *bootstate.Report) (*boot.Trust, error) {
		s := &system{root: target, host: host, state: state}
		var image []byte
		var err error
		if state.TrustedBoot {
			given, problems := boot.BuiltIn(ctx, host)
			if image, err = s.trustedBoot(given); err == nil {
				s.anchors.Problems = append(s.anchors.Problems, problems...)
			}
		} else {
			err = s.trust()
		}
		if err != nil {
			return nil, err
		}
		m.system = s
		rule := s.rule()
		return &boot.Trust{
			Anchors: s.anchors, Policy: rule.Policy, Because: rule.Because, Image: image,
			RequireValidDates: isTrue(s.config.Trust.ValidDates), OwnTrust: s.ownTrust,
		}, nil
	}
}
