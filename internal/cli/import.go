package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/node"
)

type importOptions struct {
	changeOptions
	allowUntrusted bool
	quiet          bool
}

func newImport(env *Env, k extension.Kind) *cobra.Command {
	o := &importOptions{}
	c := &cobra.Command{
		Use:   "import DIR",
		Short: "Take extensions over from a medium or a folder",
		Long: lines(
			"Take the extensions that lie anywhere in DIR, *.sysext.raw and *.confext.raw, over into",
			"the stores of both kinds, and enable them for the profiles named. It is what an",
			"installer calls to bring what its medium carries onto the disk, with the installed",
			"system as --root.",
			"",
			"Each is verified by its copy, under the rule of the system below the root. All of them",
			"are let in or none. What a store has already is only enabled.",
			"",
			"Exit status: 0 done, or nothing to do, 1 failed, 2 wrong usage, 3 refused by trust",
			"policy, 4 not there, 6 busy, 130 interrupted.",
		),
		Example: examples("what the installer's medium carries, onto the disk",
			"inlay "+k.Name+" import /run/initramfs/live --root /mnt --active --passive"),
		Args: arguments("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.chosen(); err != nil {
				return err
			}
			return runImport(c, env, k, o, args[0])
		},
	}
	f := c.Flags()
	o.flags(c, true)
	o.profileFlags(c)
	f.BoolVar(&o.request.DryRun, "dry-run", false, "only verify, and say what would be done")
	f.BoolVar(&o.allowUntrusted, "allow-untrusted", false, "let them take the place of images that another key signed, or that are signed where they are not")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print no progress")
	return c
}

func runImport(c *cobra.Command, env *Env, k extension.Kind, o *importOptions, dir string) error {
	from, err := openFrom(dir)
	if err != nil {
		return err
	}
	defer from.Close()
	var nodes []*node.Node
	for _, kind := range extension.Kinds() {
		n, end, err := o.open(env, kind, c)
		if err != nil {
			return err
		}
		defer end()
		nodes = append(nodes, n)
	}
	p, v := env.newProgress(o.quiet || o.json.on()), env.newProgress(o.quiet || o.json.on())
	p.what, v.what = "copying", "verifying"
	result, err := node.Import(c.Context(), nodes, node.ImportRequest{
		From: from, Profiles: o.request.Profiles, DryRun: o.request.DryRun, AllowUntrusted: o.allowUntrusted,
		Copying: p.bytes,
		Verifying: func(done, total int64) {
			p.end()
			v.bytes(done, total)
		},
	})
	p.end()
	v.end()
	if err != nil {
		return nodeError(c, k, err)
	}
	if o.json.on() {
		return env.printAs(o.json, result)
	}
	env.printImport(dir, result)
	return nil
}

// openFrom opens the folder that extensions are taken from.
func openFrom(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err == nil {
		return root, nil
	}
	if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
		return nil, usagef("name the folder that extensions lie in", "%q is no folder", dir)
	}
	return nil, imageError(fmt.Errorf("opening the folder: %w", err))
}

func (env *Env) printImport(dir string, r *node.Imported) {
	if len(r.Images) == 0 {
		fmt.Fprintf(env.Stdout, "no extension is in %s\n", printable(dir))
	}
	where := "enabled for " + profileNames(r.Profiles, ", ")
	for _, im := range r.Images {
		env.warn(im.Warnings)
		what := "imported, " + where
		switch {
		case r.DryRun && im.Already:
			what = "is there, would be " + where
		case r.DryRun:
			what = "would be imported, " + where
		case im.Already:
			what = "is there, " + where
		}
		fmt.Fprintf(env.Stdout, "%s: %s, %s: %s\n", printable(im.FileName), size(im.Size), printable(im.Guard), what)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(env.Stdout, "note: %s\n", printable(note))
	}
}
