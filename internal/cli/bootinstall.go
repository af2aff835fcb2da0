package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/integration"
)

// bootInstallOptions are the flags of boot install, as typed.
type bootInstallOptions struct {
	root        string
	names       []string
	program     string
	trusted     bool
	hierarchies []string
	noTrials    bool
	uninstall   bool
	force       bool
	dryRun      bool
	asJSON      bool
}

func newBootInstall(env *Env) *cobra.Command {
	var o bootInstallOptions
	c := &cobra.Command{
		Use:   "install",
		Short: "Have the boot step run at every boot",
		Long: lines(
			"Place what runs the boot step: units for systemd, scripts for OpenRC, sysvinit or an",
			"init of busybox, and the modules that take it into an initrd made by dracut or",
			"initramfs-tools. Without --for it is what the system has a use for. What an earlier",
			"call has placed and this one doesn't is removed.",
			"",
			"With --trusted-boot, systemd's own services merge signed images only, whatever else",
			"is set and whatever becomes of the boot step: for images that boot as a signed UKI.",
			"",
			"What people have changed is neither overwritten nor removed without --force. What was",
			"placed is noted in /usr/lib/inlay/boot-install.json, for --uninstall.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such root.",
		),
		Example: lines(
			examples("on a system that can be written to", "inlay boot install"),
			examples("in an image that is being made", "inlay boot install --root rootfs --trusted-boot"),
			examples("what would be placed", "inlay boot install --dry-run"),
			examples("take it out again", "inlay boot install --uninstall"),
		),
		Args: arguments(),
		RunE: func(*cobra.Command, []string) error { return env.installBoot(o) },
	}
	f := c.Flags()
	f.StringVar(&o.root, "root", "/", "place it in the system below `DIR`")
	f.StringArrayVar(&o.names, "for", nil, "place what is for `WHAT`: systemd, openrc, sysvinit, busybox, dracut or initramfs-tools (may be repeated; default: what the system has)")
	f.StringVar(&o.program, "program", "/usr/bin/inlay", "the `PATH` of inlay in that system")
	f.BoolVar(&o.trusted, "trusted-boot", false, "have systemd merge signed images only")
	f.StringSliceVar(&o.hierarchies, "hierarchies", nil, "the folders that sysexts are laid over, by systemd too (may be repeated, or separated by commas)")
	f.BoolVar(&o.noTrials, "no-trials", false, "keep using an extension that boots go bad with")
	f.BoolVar(&o.uninstall, "uninstall", false, "remove what was placed")
	f.BoolVar(&o.force, "force", false, "overwrite and remove what people have changed, too")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what would be done")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	complete(c, "for", integration.Names()...)
	return c
}

func (env *Env) installBoot(o bootInstallOptions) error {
	root, err := openRoot(o.root)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, h := range o.hierarchies {
		if !strings.HasPrefix(h, "/") || strings.ContainsAny(h, ": \t\n\"'\\%$") {
			return usagef("name folders such as /usr/bin", "--hierarchies %q is no absolute path that systemd takes", h)
		}
	}
	for _, name := range o.names {
		if _, err := choice("--for", name, integration.Names()...); err != nil {
			return err
		}
	}
	if o.uninstall && len(o.names) > 0 {
		return usagef("leave --for out; to keep some, place those alone: inlay boot install --for …", "--uninstall removes all that was placed, not what is for %s", strings.Join(o.names, " and "))
	}
	if err := integration.CheckProgram(o.program); err != nil {
		return usage(err)
	}
	options := integration.Options{
		Root: root, Names: o.names, Program: o.program, Trusted: o.trusted, Hierarchies: strings.Join(o.hierarchies, ":"),
		NoTrials: o.noTrials, Force: o.force, DryRun: o.dryRun,
	}
	do, verb := integration.Install, "placed"
	if o.uninstall {
		do, verb = integration.Uninstall, "removed"
	}
	r, err := do(options)
	if err != nil {
		return err
	}
	if o.asJSON {
		return env.printJSON(r)
	}
	env.printInstalled(r, verb)
	return nil
}

func (env *Env) printInstalled(r *integration.Result, verb string) {
	switch {
	case len(r.Files) == 0 && len(r.Kept) == 0:
		fmt.Fprintln(env.Stdout, "nothing was placed here")
	case len(r.Files) == 0:
		fmt.Fprintf(env.Stdout, "nothing is %s:\n", verb)
	case r.DryRun:
		fmt.Fprintf(env.Stdout, "would be %s, for %s:\n", verb, strings.Join(r.Names, " and "))
	case !r.Done:
		fmt.Fprintf(env.Stdout, "%s already, for %s:\n", verb, strings.Join(r.Names, " and "))
	default:
		fmt.Fprintf(env.Stdout, "%s, for %s:\n", verb, strings.Join(r.Names, " and "))
	}
	for _, name := range r.Files {
		fmt.Fprintf(env.Stdout, "  /%s\n", printable(name))
	}
	for _, name := range r.Removed {
		fmt.Fprintf(env.Stdout, "  /%s goes: it was placed before, and was not asked for now\n", printable(name))
	}
	for _, name := range r.Kept {
		fmt.Fprintf(env.Stdout, "  /%s stays, since it was changed\n", printable(name))
	}
	env.note(r.Next)
}
