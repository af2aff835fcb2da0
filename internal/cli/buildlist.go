package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"inlay/internal/build"
	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/source"
)

// withList are the flags of inlay build that go with --file. What they say holds
// for every extension, whatever the list says.
func withList() []string {
	return []string{
		"file", "jobs", "output", "private-key", "certificate", "signer", "defer-signature",
		"authfile", "insecure-registry", "no-cache", "json", "quiet", "help",
	}
}

// checkListFlags refuses flags that belong into the list.
func (o *buildOptions) checkListFlags(c *cobra.Command, args []string) error {
	if o.file == "" {
		if c.Flags().Changed("jobs") {
			return usagef("give a list with --file", "--jobs says how many images to build at once, and there is one")
		}
		return arguments("NAME", "SOURCE")(c, args)
	}
	if len(args) > 0 {
		return usagef("write it into the list, or leave out --file", "--file names all there is to build, and %q is given too", args[0])
	}
	if o.jobs < 0 {
		return usagef("give 1 or more", "--jobs is %d", o.jobs)
	}
	var other string
	c.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains(withList(), f.Name) {
			other = cmp.Or(other, f.Name)
		}
	})
	if other != "" {
		return usagef("write it into the list, for one extension or below defaults", "--%s does not go with --file", other)
	}
	return nil
}

// planned is one image of a list.
type planned struct {
	entry *config.Extension
	arch  string // as the list has it
	job   build.Job
}

func (p planned) label() string {
	return p.job.Options.Kind.FileName(p.job.Options.Name) + " (" + p.job.Options.Architecture.Word + ")"
}

// runBuildList builds all that a list names.
func runBuildList(ctx context.Context, env *Env, o buildOptions) error {
	plan, err := o.plan(ctx, env)
	if err != nil {
		return err
	}
	var jobs []build.Job
	for _, p := range plan {
		// A list names its folders by architecture; nobody wants to make them first.
		if err := os.MkdirAll(p.job.Options.Output, 0o755); err != nil {
			return err
		}
		jobs = append(jobs, p.job)
	}
	bar := env.newListProgress(len(plan), o.quiet || o.json)
	outcomes := build.All(ctx, jobs, cmp.Or(o.jobs, atOnce()), func(i int, done build.Outcome) { bar.done(plan[i], done) })
	bar.end()
	if err := ctx.Err(); err != nil {
		return err
	}
	return env.reportList(plan, outcomes, o.json)
}

// plan reads the list and turns each of its entries into jobs. It finds all
// that is wrong with it, before any work is done.
func (o *buildOptions) plan(ctx context.Context, env *Env) ([]planned, error) {
	text, err := readBounded(o.file, maxListFile)
	if err != nil {
		return nil, err
	}
	entries, err := config.ParseList(o.file, text)
	if err != nil {
		return nil, usage(err)
	}
	signers := map[signingOptions]*keys.Pair{}
	var plan []planned
	var wrong []error
	for i := range entries {
		e := &entries[i]
		archs := e.Architectures
		if len(archs) == 0 {
			archs = []string{""}
		}
		for _, arch := range archs {
			p := planned{entry: e, arch: arch}
			if p.job, err = o.job(ctx, env, e, arch, signers); err != nil {
				wrong = append(wrong, e.At(err))
				break // the next one would say the same
			}
			plan = append(plan, p)
		}
	}
	wrong = append(wrong, twice(plan)...)
	return plan, usage(errors.Join(wrong...))
}

// maxListFile bounds what is read as a list, in bytes; the parser takes less.
const maxListFile = 1 << 20

// twice finds images that would take each other's place.
func twice(plan []planned) []error {
	var wrong []error
	first := map[string]planned{}
	for _, p := range plan {
		name := p.job.Options.Kind.FileName(p.job.Options.Name)
		path, same := filepath.Join(p.job.Options.Output, name), filepath.Join(whereabouts(p.job.Options.Output), name)
		other, taken := first[same]
		if !taken {
			first[same] = p
			continue
		}
		wrong = append(wrong, p.entry.At(hint.Wrap(
			fmt.Errorf("%s and %s are both to become %q", other.label(), p.label(), path),
			"give them different folders: in output, {arch} stands for the architecture")))
	}
	return wrong
}

// whereabouts returns the one path of a folder that has several, as far as it
// is there.
func whereabouts(folder string) string {
	rest := ""
	for at := folder; ; {
		there, err := filepath.EvalSymlinks(at)
		if err == nil {
			there, err = filepath.Abs(there)
		}
		above := filepath.Dir(at)
		switch {
		case err == nil:
			return filepath.Join(there, rest)
		case above == at:
			return folder
		}
		at, rest = above, filepath.Join(filepath.Base(at), rest)
	}
}

// job is what the list and the flags say of one image.
func (o *buildOptions) job(ctx context.Context, env *Env, e *config.Extension, arch string, signers map[signingOptions]*keys.Pair) (build.Job, error) {
	one, err := o.one(env, e, arch)
	if err != nil {
		return build.Job{}, err
	}
	signing := one.signing
	one.signing = signingOptions{}
	s, err := one.settings(ctx, env)
	if err != nil {
		return build.Job{}, err
	}
	if one.deferSigning && signing.any() {
		return build.Job{}, hint.Wrap(errors.New("defer_signature and a key are both given"), "sign now, or defer it")
	}
	pair, known := signers[signing]
	if !known {
		if pair, err = signing.pair(ctx, env); err != nil {
			return build.Job{}, err
		}
		if pair != nil && signing.signer != "" {
			pair = oneByOne(pair)
		}
		signers[signing] = pair
	}
	s.Signer = pair
	return build.Job{From: one.from(env, s), Options: s}, nil
}

// one turns an entry into the flags of inlay build. Paths in a list are relative
// to the folder it lies in.
func (o *buildOptions) one(env *Env, e *config.Extension, arch string) (buildOptions, error) {
	near := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(filepath.Dir(o.file), path)
	}
	one := buildOptions{
		name: e.Name, kind: cmp.Or(e.Kind, "sysext"), arch: arch, layers: cmp.Or(e.Layers, "last"),
		includePaths: e.IncludePaths, release: e.Release, serviceReload: e.ServiceReload, enableUnits: e.EnableUnits,
		allowMarkers: e.AllowOverlayMarkers, owner: cmp.Or(e.Owner, "root"), contexts: near(e.Contexts),
		fileSystem: cmp.Or(e.FileSystem, string(build.EROFS)), compression: e.Compression, minKernel: e.MinKernel, seed: e.Seed,
		authFile: o.authFile, insecure: o.insecure, noCache: o.noCache, json: o.json,
		signing:      signingOptions{privateKey: near(e.PrivateKey), certificate: near(e.Certificate), signer: e.Signer},
		deferSigning: e.DeferSignature,
	}
	if o.signing.any() || o.deferSigning {
		one.signing, one.deferSigning = o.signing, o.deferSigning
	}
	one.output = near(cmp.Or(e.Output, "."))
	if o.outputGiven {
		one.output = o.output
	}
	one.output = strings.ReplaceAll(one.output, "{arch}", cmp.Or(arch, env.Architecture))
	ref, err := source.Parse(e.Source)
	if err != nil {
		return one, err
	}
	ref.Path = near(ref.Path)
	one.source = ref.String()
	return one, nil
}
