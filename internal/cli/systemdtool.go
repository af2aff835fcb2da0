package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/layer"
)

// systemdOptions are the options of systemd-sysext(8), as typed.
type systemdOptions struct {
	root        string
	json        string
	mutable     string
	imagePolicy string
	noExec      truth
	always      truth
	force       bool
	noReload    bool
	noLegend    bool
	noPager     bool
	version     bool
}

// newSystemdTool is the command line of systemd-sysext and systemd-confext, for
// systems that have no systemd: it merges by the native engine, and nothing else.
func newSystemdTool(env *Env, k extension.Kind) *cobra.Command {
	o := &systemdOptions{}
	root := &cobra.Command{
		Use:   k.Tool + " [OPTIONS...] COMMAND",
		Short: fmt.Sprintf("Merge %s images (inlay under the name of %s)", k.Name, k.Tool),
		Args:  cobra.ArbitraryArgs,
	}
	quieten(root)
	o.flags(root)
	text := systemdHelp(k)
	root.SetHelpFunc(func(*cobra.Command, []string) { fmt.Fprint(env.Stdout, text) })
	root.CompletionOptions.DisableDefaultCmd = true
	words := map[string]func(context.Context) error{
		"status":  func(ctx context.Context) error { return o.status(ctx, env, k) },
		"list":    func(ctx context.Context) error { return o.list(ctx, env, k) },
		"merge":   func(ctx context.Context) error { return o.merge(ctx, env, k, "merge") },
		"refresh": func(ctx context.Context) error { return o.merge(ctx, env, k, "refresh") },
		"unmerge": func(ctx context.Context) error { return o.unmerge(ctx, env, k) },
	}
	run := func(do func(context.Context) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, _ []string) error {
			if done, err := o.answer(env, c.Flags().Changed("mutable")); done || err != nil {
				return err
			}
			return do(c.Context())
		}
	}
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return run(words["status"])(c, nil)
		}
		do, known := words[args[0]] // after "--"
		if !known {
			return usagef("see \""+k.Tool+" --help\"", "unknown command verb %q", args[0])
		}
		if err := arguments()(c, args[1:]); err != nil {
			return err
		}
		return run(do)(c, nil)
	}
	for word, do := range words {
		root.AddCommand(&cobra.Command{
			Use: word, Args: arguments(), RunE: run(do),
			Short: systemdVerbs()[word],
		})
	}
	return root
}

func (o *systemdOptions) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&o.root, "root", "/", "")
	f.StringVar(&o.json, "json", "off", "")
	f.StringVar(&o.mutable, "mutable", "", "")
	f.StringVar(&o.imagePolicy, "image-policy", "", "")
	f.Var(&o.noExec, "noexec", "")
	f.Var(&o.always, "always-refresh", "")
	f.BoolVar(&o.force, "force", false, "")
	f.BoolVar(&o.noReload, "no-reload", false, "")
	f.BoolVar(&o.noLegend, "no-legend", false, "")
	f.BoolVar(&o.noPager, "no-pager", false, "") // there is none
	f.BoolVar(&o.version, "version", false, "")
}

// answer answers what is asked of the program itself, and checks the options whose
// values are words.
func (o *systemdOptions) answer(env *Env, mutable bool) (done bool, err error) {
	if o.root == "" {
		o.root = "/"
	}
	switch {
	case o.version:
		_, err = fmt.Fprintf(env.Stdout, "systemd %d (inlay %s)\n", extension.NewestSystemd, buildVersion().Version)
		return true, err
	case o.json == "help":
		_, err = fmt.Fprintln(env.Stdout, "pretty\nshort\noff")
		return true, err
	case o.mutable == "help":
		_, err = fmt.Fprintln(env.Stdout, strings.Join(modeNames(), "\n"))
		return true, err
	}
	if _, err := choice("--json", o.json, "pretty", "short", "off"); err != nil {
		return false, err
	}
	if mutable {
		if _, err := layer.ParseMode(o.mutable); err != nil {
			return false, usage(fmt.Errorf("--mutable: %w", err))
		}
	}
	_, err = policyFlag(o.imagePolicy)
	return false, err
}

// merging are the options as inlay has them.
func (o *systemdOptions) merging() *mergeOptions {
	return &mergeOptions{
		nodeOptions: nodeOptions{root: o.root}, engine: layer.EngineNative,
		imagePolicy: o.imagePolicy, mutable: o.mutable, noExec: o.noExec, force: o.force, noReload: o.noReload,
	}
}

// status shows each hierarchy, and what is merged into it.
func (o *systemdOptions) status(ctx context.Context, env *Env, k extension.Kind) error {
	s, err := openSystem(o.root)
	if err != nil {
		return err
	}
	defer s.close()
	l := newLayering(env, s, k)
	l.engine = layer.EngineNative
	var rows []layer.Hierarchy
	err = l.homeOrHere(func(root *os.Root) error {
		e, err := l.choose(ctx, root)
		if err != nil {
			return err
		}
		merged, err := e.Merged(ctx, k)
		if err != nil {
			return errors.Join(err, e.Close())
		}
		rows, err = layer.Hierarchies(root, k, l.request.Hierarchies, env.Getenv, merged)
		return errors.Join(err, e.Close())
	})
	if err != nil {
		return err
	}
	t := table{head: []string{"hierarchy", "extensions", "since"}}
	for _, h := range rows {
		extensions := cell{value: append([]string{}, h.Extensions...), lines: h.Extensions}
		if len(h.Extensions) == 0 {
			extensions.lines = []string{"-"}
		}
		t.rows = append(t.rows, []cell{text(h.Path), extensions, timestamp(h.Since)})
	}
	return o.print(env, t)
}

// list shows what lies in the folders.
func (o *systemdOptions) list(ctx context.Context, env *Env, k extension.Kind) error {
	s, err := openSystem(o.root)
	if err != nil {
		return err
	}
	defer s.close()
	t := table{head: []string{"name", "type", "path", "time"}}
	l := newLayering(env, s, k)
	err = l.homeOrHere(func(root *os.Root) error {
		d := discover.Options{
			Root: root, Kind: k, Architecture: extension.ArchitectureWord(env.Architecture), Initrd: inInitrd(root),
		}
		if l.request.Old {
			d.More = discover.OldFolders(k)
		}
		found, err := discover.Find(ctx, d)
		if err != nil {
			return err
		}
		slices.SortFunc(found.Candidates, func(a, b discover.Candidate) int { return strings.Compare(a.Name, b.Name) })
		for _, c := range found.Candidates { // those of the old folders, too: they are merged as well
			x := c.Listing(d)
			t.rows = append(t.rows, []cell{text(x.Name), text(string(x.Type)), text(o.at(x.Path)), microseconds(x.Time)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(t.rows) == 0 && o.json == "off" {
		fmt.Fprintln(env.Stderr, "No OS extensions found.")
		return nil
	}
	return o.print(env, t)
}

// at is a path below the root as systemd shows it: as seen from outside.
func (o *systemdOptions) at(name string) string {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return name
	}
	return filepath.Join(root, name)
}

func (o *systemdOptions) print(env *Env, t table) error {
	var err error
	if o.json == "off" {
		_, err = env.Stdout.Write([]byte(t.text(!o.noLegend)))
		return err
	}
	_, err = fmt.Fprintln(env.Stdout, t.json(o.json == "pretty"))
	return err
}
