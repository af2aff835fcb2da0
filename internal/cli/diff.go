package cli

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"inlay/internal/diff"
)

func newDiff(env *Env) *cobra.Command {
	var exitCode, asJSON bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what changed from one extension to another",
		Long: lines(
			"Compare two extensions, A the old and B the new one: disk images, file systems in",
			"files of their own, or folders. Shown are files that were added or removed or that",
			"differ (type, permissions, owner, size, content, target, device number, extended",
			"attributes), the keys of the release file, the root hash, and who claims to have",
			"signed. Times of modification are not compared. Nothing is verified.",
			"",
			"Exit status: 0 done, whether they differ or not, 1 failed, 2 wrong usage, 4 no such",
			"image. With --exit-code, 1 also says that they differ, or that it cannot be told.",
		),
		Example: lines(
			examples("what an update brings", "inlay diff k3s_1.30.sysext.raw k3s_1.31.sysext.raw"),
			examples("in a script", "inlay diff old.sysext.raw new.sysext.raw --exit-code >changes || echo changed"),
		),
		Args: arguments("A", "B"),
		RunE: func(c *cobra.Command, args []string) error {
			result, err := diff.Run(c.Context(), args[0], args[1])
			if err != nil {
				return imageError(err)
			}
			if asJSON {
				if err := env.printJSON(result); err != nil {
					return err
				}
			} else {
				env.printDiff(result)
			}
			if exitCode && !result.Same {
				return answered(exitFailed)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&exitCode, "exit-code", false, "end with 1 unless they are the same")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printDiff prints what changed in groups, and a summary as the last line.
func (env *Env) printDiff(r *diff.Result) {
	env.printChanges("image", r.Image)
	env.printChanges("release file", r.Release)
	env.printNames("added", r.Added)
	env.printNames("removed", r.Removed)
	if len(r.Changed) > 0 {
		fmt.Fprintln(env.Stdout, "changed")
	}
	for _, f := range r.Changed {
		fmt.Fprintf(env.Stdout, "  %s\n", printable(f.Path))
		for _, change := range f.Changes {
			fmt.Fprintf(env.Stdout, "    %s\n", changeText(change))
		}
	}
	for _, u := range r.Unread {
		fmt.Fprintf(env.Stderr, "warning: not read: %s\n", printable(u))
	}
	switch {
	case r.Same:
		fmt.Fprint(env.Stdout, "no difference")
	case r.SameFiles:
		fmt.Fprint(env.Stdout, "the same files")
	case len(r.Unread) > 0:
		fmt.Fprint(env.Stdout, "not compared to the end")
	default:
		fmt.Fprintf(env.Stdout, "%s added, %d removed, %d changed", count(len(r.Added), "file"), len(r.Removed), len(r.Changed))
	}
	fmt.Fprintf(env.Stdout, "; content %s", sizes(r.A.Bytes, r.B.Bytes))
	if r.A.Size > 0 || r.B.Size > 0 {
		fmt.Fprintf(env.Stdout, ", image %s", sizes(r.A.Size, r.B.Size))
	}
	fmt.Fprintln(env.Stdout)
}

func (env *Env) printChanges(title string, changes []diff.Change) {
	if len(changes) > 0 {
		fmt.Fprintln(env.Stdout, title)
	}
	for _, c := range changes {
		fmt.Fprintf(env.Stdout, "  %s\n", changeText(c))
	}
}

func (env *Env) printNames(title string, files []diff.File) {
	if len(files) > 0 {
		fmt.Fprintln(env.Stdout, title)
	}
	for _, f := range files {
		what := f.Type
		if what == "file" {
			what = size(f.Size)
		}
		fmt.Fprintf(env.Stdout, "  %s (%s)\n", printable(f.Path), what)
	}
}

// changeText says a change in one line. Long values are for --json.
func changeText(c diff.Change) string {
	value := func(s string) string {
		const most = 80
		switch {
		case s == "":
			return "none"
		case len(s) > most:
			return printable(s[:most]) + "…"
		}
		return printable(s)
	}
	what := map[string]string{"rootHash": "root hash", "fileSystem": "file system", "sha256": "content, SHA-256"}[c.What]
	return printable(cmp.Or(what, c.What)) + ": " + value(c.A) + " -> " + value(c.B)
}

// sizes says how a size changed.
func sizes(a, b int64) string {
	if a == b {
		return size(a)
	}
	return size(a) + " -> " + size(b)
}
