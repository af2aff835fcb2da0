package cli

import (
	"github.com/spf13/cobra"
)

func newKeys(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make, show, enrol and revoke keys for Secure Boot and extensions",
		Long: lines(
			"Make keys for Secure Boot and for signing extensions, show what is in them and in",
			"the firmware, enrol them, and revoke what they have signed.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage.",
		),
		Example: examples("the keys for the tour in the README",
			"inlay keys create acme --output keys"),
	}
	group(c)
	c.AddCommand(newKeysCreate(env), newKeysShow(env), newKeysRevoke(env), newKeysEnroll(env))
	return c
}
