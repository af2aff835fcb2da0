package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/bundle"
	"inlay/internal/config"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/source"
)

// bundleOptions are the flags of commands about bundles, as typed.
type bundleOptions struct {
	root      string
	configs   []string
	install   bool
	firstBoot bool
	dryRun    bool
	authFile  string
	insecure  bool
	json      bool
	quiet     bool
	how       bundle.Options
}

func newBundle(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "bundle",
		Short: "Do what a node's configuration says about bundles",
		Long: lines(
			"Bundles are container images that a node's configuration wants unpacked or run.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such file, 6 busy, 130 interrupted.",
		),
		Example: examples("what would be done", "inlay bundle apply --config /oem --dry-run"),
	}
	group(c)
	c.AddCommand(newBundleApply(env))
	return c
}

func newBundleApply(env *Env) *cobra.Command {
	o := bundleOptions{}
	c := &cobra.Command{
		Use:   "apply",
		Short: "Unpack and run the bundles of a node's configuration",
		Long: lines(
			"Unpack and run what #cloud-config and #node-config files say in install.bundles (for the",
			"end of an installation) and bundles (for the first boot). All else in them is left alone.",
			"",
			"Each target is",
			"  container://IMAGE  unpacked to the bundle's rootfs_path",
			"  docker://IMAGE     the same",
			"  run://IMAGE        unpacked for a moment, to run the run.sh in it, with CONTAINERDIR and",
			"                     BUNDLE_TARGET in its environment",
			"With local_file: true, IMAGE is the path of an archive. IMAGE@sha256:… pins what it may be.",
			"",
			"A folder that holds the very image already is left alone. One bundle that fails stops no",
			"other; all that failed are named. Unless the configuration says fail_on_bundles_errors:",
			"false, the command fails then.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such file, 5 an image for other machines,",
			"6 busy, 130 interrupted.",
		),
		Example: lines(
			examples("all of a node's configuration", "inlay bundle apply --config /oem"),
			examples("what an installer has to do, on the system it has laid down", "inlay bundle apply --install --config /oem/config.yaml --root /sysroot"),
		),
		Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error { return runBundleApply(c.Context(), env, o) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.configs, "config", []string{"/oem"}, "read this `FILE`, or the files in this folder, below the root (may be repeated)")
	f.BoolVar(&o.install, "install", false, "install.bundles only")
	f.BoolVar(&o.firstBoot, "first-boot", false, "bundles only")
	f.StringVar(&o.root, "root", "/", "the machine is the one below `DIR`")
	o.flags(c)
	return c
}

// flags are those that every command about bundles has.
func (o *bundleOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&o.how.Replace, "replace", false, "replace whatever folders are there, and unpack anew what is there already")
	f.BoolVar(&o.how.NoSameOwner, "no-same-owner", false, "own all files, and leave out what only root can make: devices, set-user-ID bits, capabilities")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	f.StringVar(&o.authFile, "authfile", "", "registry credentials in `FILE`, besides docker's and podman's own")
	f.BoolVar(&o.insecure, "insecure-registry", false, "allow plain HTTP and unknown certificates of registries")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress, and nothing that programs write")
}

func runBundleApply(ctx context.Context, env *Env, o bundleOptions) error {
	root, err := openRoot(o.root)
	if err != nil {
		return err
	}
	defer root.Close()
	below := trustOptions{root: o.root}
	var files []string
	for _, name := range o.configs {
		file, err := below.below(name)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	c, err := config.LoadBundles(root, files, env.User)
	if errors.Is(err, fs.ErrNotExist) {
		return notFound(err)
	}
	if err != nil {
		return hint.Default(err, "look at the file: inlay changes nothing before all of them are understood")
	}
	bundles := slices.Concat(c.Install, c.FirstBoot)
	switch {
	case o.install && !o.firstBoot:
		bundles = c.Install
	case o.firstBoot && !o.install:
		bundles = c.FirstBoot
	}
	if len(bundles) == 0 {
		env.note([]string{"no bundles are asked for in " + strings.Join(o.configs, ", ")})
	}
	return env.applyBundles(ctx, o, root, bundles, c.FailOnErrors == nil || *c.FailOnErrors)
}

// bundleReport is the JSON of inlay bundle apply.
type bundleReport struct {
	DryRun bool           `json:"dryRun"`
	Failed int            `json:"failed"` // targets
	Steps  []*bundle.Step `json:"steps"`
}

// applyBundles does it. Errors are one or, printed with their targets, several.
func (env *Env) applyBundles(ctx context.Context, o bundleOptions, root *os.Root, bundles []config.Bundle, fails bool) error {
	bar := env.newProgress(o.quiet || o.json)
	o.how.Architecture = extension.ArchitectureWord(env.Architecture)
	askMachine(root, &o.how)
	output := env.Stderr
	if o.quiet {
		output = io.Discard
	}
	steps, err := bundle.Apply(ctx, bundle.ApplyRequest{
		Bundles: bundles, Root: root, Options: o.how, DryRun: o.dryRun, Output: output, GoArchitecture: env.Architecture,
		Source: source.Options{AuthFile: o.authFile, Insecure: o.insecure, DockerHost: env.Getenv("DOCKER_HOST"), Progress: bar.bytes},
	})
	bar.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	report := bundleReport{DryRun: o.dryRun, Steps: []*bundle.Step{}}
	for _, s := range steps {
		report.Failed += len(s.Errors)
		report.Steps = append(report.Steps, s)
	}
	if o.json {
		if err := env.printJSON(report); err != nil {
			return err
		}
	} else {
		env.printSteps(report)
		if fails && report.Failed == 1 {
			return bundleError(err)
		}
		env.printFailed(steps, fails)
	}
	if fails && err != nil {
		return answered(exitCode(bundleError(err)))
	}
	return nil
}

func (env *Env) printSteps(r bundleReport) {
	would := ""
	if r.DryRun {
		would = "would be "
	}
	for _, s := range r.Steps {
		what := strings.Join(s.Targets, " and ")
		switch s.State {
		case bundle.Unpacked:
			if s.Counts != nil {
				what += ": " + holds(s.Counts)
			}
			fmt.Fprintf(env.Stdout, "%s: %sunpacked from %s\n", printable(s.Path), would, printable(what))
		case bundle.Same:
			fmt.Fprintf(env.Stdout, "%s: holds %s already\n", printable(s.Path), printable(what))
		case bundle.Ran:
			if r.DryRun {
				what += " would be"
			}
			fmt.Fprintf(env.Stdout, "%s run for %s\n", printable(what), printable(s.Path))
		}
		if s.Use != nil && s.Use.Merges {
			fmt.Fprintf(env.Stdout, "%s: %s\n", printable(s.Path), printable(merges(s.Use)))
		}
		env.warnUse(s.Path, s.Use)
		env.note(s.Notes)
	}
}

// printFailed says what failed, a line and its hints for each target.
func (env *Env) printFailed(steps []*bundle.Step, fails bool) {
	for _, s := range steps {
		for _, e := range s.Errors {
			text := fmt.Sprintf("target %q (%s): %s", e.Target, e.Origin, strings.ReplaceAll(e.Error, "\n", "; "))
			if !fails {
				env.warn([]string{text})
				continue
			}
			fmt.Fprintf(env.Stderr, "inlay: %s\n", printable(text))
			for _, advice := range e.Hints {
				fmt.Fprintf(env.Stderr, "inlay: hint: %s\n", printable(advice))
			}
		}
	}
}
