package cli

import (
	"cmp"
	"fmt"
	"strings"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
)

// printBootReport prints what the step did, the most important first.
func (env *Env) printBootReport(r *boot.Report) {
	facts := []fact{
		{"time", r.Time.Local().Format("2006-01-02 15:04:05 MST")},
		{"took", milliseconds(r.Duration)},
		{"called by", r.Hook},
	}
	for _, e := range r.Earlier {
		facts = append(facts, fact{"earlier", earlier(e)})
	}
	if r.Off != "" {
		facts = append(facts, fact{"off", "the kernel's command line says " + r.Off})
	}
	if r.Boot != nil {
		facts = append(facts, fact{"state", string(r.Boot.State)}, fact{"profile", cmp.Or(r.Boot.Profile, "none")}, fact{"trusted boot", yesNo(r.Boot.TrustedBoot)})
	}
	if r.Trust != nil {
		facts = append(facts, fact{"policy", r.Trust.Policy + ": " + r.Trust.Because})
		for _, a := range r.Trust.Anchors {
			facts = append(facts, fact{"trusts", a.Subject + ", by " + a.Origin})
		}
		if len(r.Trust.Anchors) == 0 {
			facts = append(facts, fact{"trusts", "nobody"})
		}
	}
	env.printFacts(facts)
	fmt.Fprintln(env.Stdout)
	switch {
	case len(r.Extensions) > 0 || r.Off != "":
	case len(r.Merges) == 0:
		fmt.Fprintln(env.Stdout, "no extension was looked at")
	case r.Boot != nil && r.Boot.State == bootstate.Unknown:
		fmt.Fprintln(env.Stdout, "no extension is enabled for this boot, which has no profile: what is for all is enabled with --common")
	default:
		fmt.Fprintln(env.Stdout, "no extension is enabled for this boot")
	}
	for _, x := range r.Extensions {
		env.printBooted(x)
	}
	for _, t := range r.Taken {
		fmt.Fprintf(env.Stdout, "%s %s: %s\n", t.Kind, printable(t.FileName), cmp.Or(printable(t.Error), "taken into the store, for "+strings.Join(t.Profiles, " and ")))
	}
	env.printHandedOver(r)
	for _, s := range r.Steps {
		if s.Bad {
			env.note([]string{s.Step + ": " + s.Text})
		}
	}
	if r.Trust != nil {
		for _, p := range r.Trust.Problems {
			env.note([]string{p.Origin + ": " + p.Text})
		}
	}
	env.note(r.Problems)
}

// printBooted prints what became of one extension.
func (env *Env) printBooted(x boot.Extension) {
	fmt.Fprintf(env.Stdout, "%s %s: %s", x.Kind, printable(x.FileName), x.Result)
	if x.Trial != nil && !x.Trial.Instead && x.Result == boot.Linked {
		fmt.Fprintf(env.Stdout, ", on trial: %d more boots", x.Trial.Left)
	}
	switch x.CheckedBy {
	case boot.ByKernel:
		fmt.Fprint(env.Stdout, ", signature checked by the kernel")
	case boot.InUserSpace:
		fmt.Fprint(env.Stdout, ", signature checked in user space")
	}
	fmt.Fprintln(env.Stdout)
	if x.Reason != "" {
		fmt.Fprintf(env.Stdout, "  %s\n", printable(x.Reason))
	}
	for _, h := range x.Hints {
		fmt.Fprintf(env.Stdout, "  hint: %s\n", printable(h))
	}
}

// printHandedOver prints what became of each kind, what was kept out, and how long
// all that took.
func (env *Env) printHandedOver(r *boot.Report) {
	for _, m := range r.Merges {
		switch {
		case m.Error != "":
			fmt.Fprintf(env.Stdout, "%ss are not merged: %s\n", m.Kind, printable(m.Error))
		case m.Done:
			fmt.Fprintf(env.Stdout, "%ss are merged, by the %s engine\n", m.Kind, m.Engine)
		case !r.DryRun:
			fmt.Fprintf(env.Stdout, "%ss are left to %s to merge\n", m.Kind, m.Engine)
		}
	}
	for _, c := range r.Covered {
		if len(c.Holds) > 0 {
			fmt.Fprintf(env.Stdout, "%s is covered, and counts for nothing: %s\n", printable(c.Path), printable(strings.Join(c.Holds, ", ")))
		}
	}
	var times []string
	for _, s := range r.Steps {
		times = append(times, s.Step+" "+milliseconds(s.Duration))
	}
	if len(times) > 0 {
		fmt.Fprintf(env.Stdout, "steps: %s\n", strings.Join(times, ", "))
	}
}

// earlier is a step before this one in a line.
func earlier(e boot.Earlier) string {
	text := fmt.Sprintf("%s, %d linked", e.Time.Local().Format("15:04:05"), len(e.Linked))
	if e.Off != "" {
		text = e.Time.Local().Format("15:04:05") + ", off"
	}
	if e.Hook != "" {
		text = "by " + e.Hook + " at " + text
	}
	return text
}

func milliseconds(n int64) string { return fmt.Sprintf("%d ms", n) }
