package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/media"
)

// mediaPlanOptions are the flags of inlay media plan.
type mediaPlanOptions struct {
	system  systemOptions
	move    []string
	kernel  string
	spool   string
	warnMiB int
	json    bool
	quiet   bool
}

func newMediaPlan(env *Env) *cobra.Command {
	o := mediaPlanOptions{}
	c := &cobra.Command{
		Use:   "plan SOURCE",
		Short: "Show what an image is made of, and what an extension would save",
		Long: lines(
			"Show which folders of SOURCE are the biggest, what its whole root file system would",
			"take as the initrd of a unified kernel image, and what that image would save if some",
			"PATHs moved into an extension. Firmware loads no EFI program of any size: some fails",
			"from about 800 MiB, other at 1.3 GiB.",
			"",
			sourceLines(),
			"",
			"Sizes marked with ~ are estimates, by a quicker compression and a sample in the real",
			"one; those of --move are measured. What cannot move, because an extension could not",
			"carry it or the system needs it before extensions are merged, is said.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such path in the source, 130",
			"interrupted.",
		),
		Example: lines(
			examples("what is large", "inlay media plan docker:system"),
			examples("what moving two folders would save", "inlay media plan docker:system --move /usr/share/doc --move /opt"),
		),
		Args: arguments("SOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.system.source = args[0]
			return runMediaPlan(c.Context(), env, o)
		},
	}
	o.system.flags(c)
	f := c.Flags()
	f.StringArrayVar(&o.move, "move", nil, "see what moving `PATH` into an extension saves (repeatable)")
	f.StringVar(&o.kernel, "kernel", "", "the `VERSION` or path of the kernel, if the source has several (default the newest)")
	f.StringVar(&o.spool, "spool", "", "`folder` for the source's content meanwhile, if it is no folder (default the one for temporary files)")
	f.IntVar(&o.warnMiB, "efi-size-warn", media.DefaultWarnSize>>20, "warn of an EFI program of more than so many `MiB`; 0 never does")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	return c
}

func runMediaPlan(ctx context.Context, env *Env, o mediaPlanOptions) error {
	if o.warnMiB < 0 {
		return usagef("pass 0 to be never warned", "--efi-size-warn does not take %d", o.warnMiB)
	}
	if o.spool == "" {
		o.spool = os.TempDir()
	}
	system, err := o.system.open(ctx, env, o.spool, o.quiet || o.json)
	if err != nil {
		return err
	}
	result, err := media.Plan(ctx, system.System, media.PlanOptions{
		Move: o.move, Kernel: o.kernel, Architecture: system.architecture, WarnSize: int64(o.warnMiB) << 20,
	})
	if err := errors.Join(err, system.Close()); err != nil {
		if len(o.move) > 0 && errors.Is(err, fs.ErrNotExist) {
			return notFound(err)
		}
		return err
	}
	result.Source = system.origin
	if o.json {
		return env.printJSON(result)
	}
	env.printPlan(result)
	return nil
}

// printPlan prints the pieces as a table, and what moving saves below it.
func (env *Env) printPlan(r *media.PlanResult) {
	env.printFacts([]fact{
		{"system", r.System},
		{"source", r.Source.Origin},
		{"contents", count(r.Files, "file") + ", " + size(r.Content)},
		{"EFI program", fmt.Sprintf("~%s (kernel %s, packed root ~%s)", size(r.EFI), size(r.Kernel), size(r.Packed))},
	})
	fmt.Fprintf(env.Stdout, "\n%11s %6s %11s %7s %5s  %s\n", "SIZE", "SHARE", "PACKED", "FILES", "MOVES", "PATH")
	for _, f := range r.Folders {
		name := f.Path
		if f.Rest {
			name = strings.TrimSuffix(name, "/") + "/… (the rest)"
		}
		moves := "yes"
		if f.Stays != "" {
			moves = "no"
		}
		fmt.Fprintf(env.Stdout, "%11s %5.1f%% %11s %7d %5s  %s\n", size(f.Size), 100*f.Share, "~"+size(f.Packed), f.Files, moves, printable(name))
	}
	if len(r.Moves) > 0 {
		fmt.Fprintf(env.Stdout, "\n%11s %6s %11s %7s  %s\n", "MOVING", "SHARE", "SAVES", "FILES", "PATH")
		for _, m := range r.Moves {
			saves := size(m.Packed)
			if m.Stays != "" {
				saves = "-"
			}
			fmt.Fprintf(env.Stdout, "%11s %5.1f%% %11s %7d  %s\n", size(m.Size), 100*float64(m.Size)/float64(max(r.Content, 1)), saves, m.Files, printable(m.Path))
		}
		fmt.Fprintln(env.Stdout)
		env.printFacts([]fact{
			{"saved", fmt.Sprintf("%s of the content, %s of the EFI program", size(r.Saved), size(r.SavedPacked))},
			{"EFI program then", "~" + size(r.After)},
		})
	}
	for _, n := range r.Notes {
		fmt.Fprintf(env.Stderr, "note: %s\n", printable(n))
	}
	env.warn(r.Warnings)
}
