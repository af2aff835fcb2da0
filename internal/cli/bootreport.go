package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/boot"
	"inlay/internal/hint"
)

func newBootReport(env *Env) *cobra.Command {
	var root string
	var asJSON bool
	c := &cobra.Command{
		Use:   "report",
		Short: "Say what the boot step of this boot linked, left out and refused, and why",
		Long: lines(
			"Print the report of this boot's step: whom it trusted, what it linked, what it left",
			"out or refused and why, what it took into the store and how long each step took.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such root, or no report: the step",
			"has not run in this boot.",
		),
		Example: lines(
			examples("what happened at boot", "inlay boot report"),
			examples("what was not linked, for a script", `inlay boot report --json | jq '.extensions[] | select(.result != "linked")'`),
		),
		Args: arguments(),
		RunE: func(*cobra.Command, []string) error {
			dir, err := openRoot(root)
			if err != nil {
				return err
			}
			defer dir.Close()
			r, err := boot.ReadReport(dir)
			if err != nil {
				return err
			}
			if r == nil {
				return notFound(hint.Wrap(errors.New("the boot step has not run in this boot"), "inlay boot install has it run at each boot; inlay boot runs it now"))
			}
			if asJSON {
				return env.printJSON(r)
			}
			env.printBootReport(r)
			return nil
		},
	}
	c.Flags().StringVar(&root, "root", "/", "look at the running system below `DIR`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printBootReport prints what the step did, the most important first.
func (env *Env) printBootReport(r *boot.Report) {
	facts := []fact{{"time", r.Time.Local().Format("2006-01-02 15:04:05 MST")}}
	if r.Hook != "" {
		facts = append(facts, fact{"called by", r.Hook})
	}
	if r.Off != "" {
		env.printFacts(append(facts, fact{"off", "the kernel's command line says " + r.Off}))
		return
	}
	if r.Boot != nil {
		facts = append(facts, fact{"state", string(r.Boot.State)}, fact{"profile", cmp.Or(r.Boot.Profile, "none")}, fact{"trusted boot", yesNo(r.Boot.TrustedBoot)})
	}
	if r.Trust != nil {
		facts = append(facts, fact{"policy", r.Trust.Policy + ": " + r.Trust.Because}, fact{"anchors", fmt.Sprint(len(r.Trust.Anchors))})
	}
	env.printFacts(facts)
	fmt.Fprintln(env.Stdout)
	if len(r.Extensions) == 0 {
		fmt.Fprintln(env.Stdout, "no extension is enabled for this boot")
	}
	for _, x := range r.Extensions {
		fmt.Fprintf(env.Stdout, "%s %s: %s", x.Kind, printable(x.FileName), x.Result)
		if x.Trial != nil && !x.Trial.Instead && x.Result == boot.Linked {
			fmt.Fprintf(env.Stdout, ", on trial: %d more boots", x.Trial.Left)
		}
		fmt.Fprintln(env.Stdout)
		if x.Reason != "" {
			fmt.Fprintf(env.Stdout, "  %s\n", printable(x.Reason))
		}
		for _, h := range x.Hints {
			fmt.Fprintf(env.Stdout, "  hint: %s\n", printable(h))
		}
	}
	for _, t := range r.Taken {
		fmt.Fprintf(env.Stdout, "%s %s: %s\n", t.Kind, printable(t.FileName), cmp.Or(printable(t.Error), "taken into the store, for "+strings.Join(t.Profiles, " and ")))
	}
	for _, s := range r.Steps {
		if s.Bad {
			env.note([]string{s.Step + ": " + s.Text})
		}
	}
	env.note(r.Problems)
}
