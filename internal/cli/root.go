package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
)

func newRoot(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "inlay",
		Short: "Set signed, read-only extension images into immutable Linux systems",
		Long: lines(
			"Inlay builds, signs and inspects system extensions (sysext) and configuration",
			"extensions (confext): images that systemd lays over /usr, /opt or /etc while the",
			"system runs, protected by dm-verity and a signature.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused by trust policy,",
			"4 not found or ambiguous, 5 not compatible with this host, 6 busy,",
			"130 interrupted.",
		),
		Example: examples(
			"make a key, build a signed extension, look at it",
			"inlay keys create acme --output keys",
			"inlay build hello dir:hello --private-key keys/db.key --certificate keys/db.pem",
			"inlay inspect hello.sysext.raw",
		),
	}
	quieten(root)
	group(root)
	root.AddCommand(
		newBoot(env),
		newBuild(env),
		newBundle(env),
		newDiff(env),
		newInspect(env),
		newVerify(env),
		newExtensions(env, extension.Sysext()),
		newExtensions(env, extension.Confext()),
		newKeys(env),
		newMedia(env),
		newSign(env),
		newUnpack(env),
		newVersion(env),
	)
	return root
}

// quieten leaves all printing of errors and usage to Main: an error is one
// line and its hints, not a page of help.
func quieten(c *cobra.Command) {
	c.SilenceErrors = true
	c.SilenceUsage = true
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("see \""+c.CommandPath()+" --help\"", "%w", err)
	})
	c.CompletionOptions.HiddenDefaultCmd = true
}

// arguments checks the number of operands, whose names it puts in the error.
func arguments(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		advice := "usage: " + c.UseLine()
		if len(args) < len(names) {
			return usagef(advice, "missing %s", strings.Join(names[len(args):], " and "))
		}
		if len(args) > len(names) {
			return usagef(advice, "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// group makes c a command that only groups others: alone it shows its help, and
// a word that it does not know is an error. (A command that cannot run would show
// its help for such a word, too, and end well.)
func group(c *cobra.Command) {
	c.Args = noArguments
	c.SuggestionsMinimumDistance = 2
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	advice := "see \"" + c.CommandPath() + " --help\""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		advice = "did you mean \"" + c.CommandPath() + " " + near[0] + "\"?"
	}
	return usagef(advice, "unknown command %q", args[0])
}

// lines joins the lines of a text.
func lines(text ...string) string { return strings.Join(text, "\n") }

// examples formats a comment and the commands that it is about.
func examples(comment string, commands ...string) string {
	return "  # " + comment + "\n  " + strings.Join(commands, "\n  ")
}
