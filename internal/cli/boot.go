package cli

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"inlay/internal/bootstate"
	"inlay/internal/hint"
)

func newBoot(env *Env) *cobra.Command {
	var o bootOptions
	c := &cobra.Command{
		Use:   "boot",
		Short: "Link the extensions that this boot uses, and say what was booted",
		Long: lines(
			"Link the extensions that are enabled for the profile that was booted, and those of",
			"all profiles, where systemd looks for them: each after its check. What is refused",
			"is left out, its neighbours are not, and the report says why: inlay boot report.",
			"",
			"This is the step that a node's boot takes, by the units and hooks that inlay boot",
			"install places. It stops no boot, so the exit status is 0 whatever it finds.",
			"",
			"Exit status: 0 done, 2 wrong usage, 4 no such root.",
		),
		Example: lines(
			examples("what this boot would link, and why", "inlay boot --dry-run --json"),
			examples("the profile of this boot", "inlay boot state"),
		),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return env.runBoot(c.Context(), o) },
	}
	c.SuggestionsMinimumDistance = 2
	o.flags(c)
	c.AddCommand(newBootState(env), newBootReport(env), newBootGood(env), newBootInstall(env))
	return c
}

func newBootState(env *Env) *cobra.Command {
	var root string
	var asJSON bool
	c := &cobra.Command{
		Use:   "state",
		Short: "Say which profile was booted, and how that was decided",
		Long: lines(
			"Say which profile was booted (active, passive, recovery, or none on live media),",
			"whether it was a trusted boot (a unified kernel image under Secure Boot), and by what",
			"that was decided: the files that the boot leaves in /run/cos, the boot loader's",
			"variables, the kernel's command line. What contradicts the decision is named.",
			"",
			"Below another root there must be what a running system has: /proc, /run and /sys.",
			"",
			"Exit status: 0 done, also if nothing tells the state, 1 failed, 2 wrong usage, 4 no",
			"such root.",
		),
		Example: lines(
			examples("what was booted, and why", "inlay boot state"),
			examples("the profile, for a script", "inlay boot state --json | jq -r .profile"),
		),
		Args: arguments(),
		RunE: func(*cobra.Command, []string) error {
			report, err := bootState(root)
			if err != nil {
				return err
			}
			if asJSON {
				return env.printJSON(report)
			}
			env.printBootState(report)
			return nil
		},
	}
	c.Flags().StringVar(&root, "root", "/", "look at the running system below `DIR`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func bootState(folder string) (*bootstate.Report, error) {
	root, err := openRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return detect(root)
}

// detect tells what was booted below root.
func detect(root *os.Root) (*bootstate.Report, error) {
	report, err := bootstate.Detect(root)
	return report, hint.Default(err, "mount /proc there, or look at the file with: ls -l /proc/cmdline")
}

// printBootState prints the result, and below it what it rests on.
func (env *Env) printBootState(r *bootstate.Report) {
	facts := []fact{
		{"state", string(r.State)},
		{"profile", cmp.Or(r.Profile, "none")},
		{"trusted boot", yesNo(r.TrustedBoot)},
		{"UKI", yesNo(r.UKI)},
		{"secure boot", yesNo(r.SecureBoot)},
		{"decided by", cmp.Or(r.Decided, "nothing")},
	}
	for _, c := range r.Conflicts {
		facts = append(facts, fact{"conflict", c})
	}
	env.printFacts(facts)
	fmt.Fprintln(env.Stdout)
	for _, s := range r.Steps {
		what := s.Source
		if s.Found != "" {
			what += " (" + s.Found + ")"
		}
		fmt.Fprintf(env.Stdout, "  %s: %s\n", printable(what), printable(s.Conclusion))
	}
}
