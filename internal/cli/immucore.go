package cli

import "github.com/spf13/cobra"

// newImmucore is the boot step under the name that Kairos has for it. Its other
// duties (mounts, fstab, stages) are not ours.
func newImmucore(env *Env) *cobra.Command {
	var o bootOptions
	root := &cobra.Command{
		Use:   "immucore",
		Short: "Link the extensions that this boot uses (inlay boot under the name of immucore)",
		Long: lines(
			"Link the extensions that are enabled for the profile that was booted, and those of",
			"all profiles, where systemd looks for them. The same as: inlay boot.",
			"",
			"Exit status: 0 done, 2 wrong usage, 4 no such root.",
		),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return env.runBoot(c.Context(), o) },
	}
	quieten(root)
	o.flags(root)
	return root
}
