package cli

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"inlay/internal/inspect"
)

// inspectFlags are the flags of inlay inspect.
type inspectFlags struct {
	list, manifest bool
	copyFrom       string
	output         string
	asJSON         bool
}

func newInspect(env *Env) *cobra.Command {
	var o inspectFlags
	c := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Show what is in an extension image",
		Long: lines(
			"Show the partitions, root hash, release file, uses and signer of IMAGE, and with",
			"--list or --mtree its files; --copy-from takes one of them out. IMAGE is a disk",
			"image, a file system in a file of its own, or a folder. Nothing is mounted and",
			"nothing is verified: a signature that is present may be anyone's, and what IMAGE",
			"can be used as is what it says of itself.",
			"",
			"Files are read from EROFS without compression, squashfs, ext4 and its ancestors,",
			"and folders. Of an image with another file system everything else is shown.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such image, or no such file in it.",
		),
		Example: lines(
			examples("an overview", "inlay inspect k3s.sysext.raw"),
			examples("all files, for a program", "inlay inspect k3s.sysext.raw --list --json"),
			examples("one file", "inlay inspect k3s.sysext.raw --copy-from /usr/bin/k3s --output k3s"),
		),
		Args: arguments("IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return env.inspect(c, args[0], o)
		},
	}
	c.Flags().BoolVar(&o.list, "list", false, "list the files")
	c.Flags().BoolVar(&o.manifest, "mtree", false, "print the files, with digests, in the format of mtree(5) and nothing else")
	c.Flags().StringVar(&o.copyFrom, "copy-from", "", "copy the regular file `PATH` out of the image, to standard output")
	c.Flags().StringVarP(&o.output, "output", "o", "", "copy to `FILE`, which appears complete or not at all")
	c.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	return c
}

// check refuses flags that ask for two things at once.
func (o *inspectFlags) check(c *cobra.Command) error {
	copies := c.Flags().Changed("copy-from")
	writes := c.Flags().Changed("output")
	switch {
	case copies && (o.list || o.manifest), o.list && o.manifest:
		return usagef("use one at a time", "--list, --mtree and --copy-from exclude each other")
	case copies && o.copyFrom == "":
		return usagef("give a path such as /usr/bin/k3s; --list shows them", "--copy-from has no path")
	case writes && !copies:
		return usagef("add --copy-from PATH", "--output alone says of nothing where to put it")
	case writes && o.output == "":
		return usagef("give the name of a file", "--output is empty")
	case o.manifest && o.asJSON:
		return usagef("use --list --json", "--mtree is a format of its own")
	case copies && o.asJSON && !writes:
		return usagef("add --output FILE", "--json would print into the middle of the file")
	}
	return nil
}

func (env *Env) inspect(c *cobra.Command, path string, o inspectFlags) error {
	ctx := c.Context()
	switch {
	case o.manifest:
		return imageError(inspect.Manifest(ctx, path, env.Stdout))
	case o.copyFrom != "" && o.output == "":
		return imageError(inspect.Copy(ctx, path, o.copyFrom, env.Stdout))
	case o.copyFrom != "":
		return env.copyOut(ctx, path, o)
	}
	report, err := inspect.Image(ctx, path, inspect.Options{Files: o.list})
	if err != nil {
		return imageError(err)
	}
	if o.asJSON {
		return env.printJSON(report)
	}
	env.printReport(report, o.list)
	return nil
}

func (env *Env) copyOut(ctx context.Context, path string, o inspectFlags) error {
	if info, err := os.Stat(o.output); err == nil && info.IsDir() {
		return usagef("give the name of the file too", "--output %q is a folder", o.output)
	}
	// Exit status 4 is about the image alone.
	if _, err := os.Stat(filepath.Dir(o.output)); err != nil {
		return err
	}
	copied, err := inspect.CopyTo(ctx, path, o.copyFrom, o.output)
	if err != nil {
		return imageError(err)
	}
	if o.asJSON {
		return env.printJSON(copied)
	}
	env.printFacts([]fact{{"file", copied.Path}, {"from", copied.From}, {"size", size(copied.Size)}})
	return nil
}
