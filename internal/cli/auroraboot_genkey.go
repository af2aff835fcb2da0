package cli

import (
	"github.com/spf13/cobra"

	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

const (
	// genkeyName is whose keys they are if nobody says: the documents give no NAME.
	genkeyName = "kairos"
	// genkeyDays is how long auroraboot's certificates are valid.
	genkeyDays = 365
)

// newAurorabootGenkey is auroraboot's word for "inlay keys create".
func newAurorabootGenkey(env *Env) *cobra.Command {
	o := keysOptions{set: secureboot.SetOptions{Clock: env.Now}, algorithm: string(keys.RSA2048)}
	c := &cobra.Command{
		Use:     "genkey [NAME]",
		Aliases: []string{"gk"},
		Short:   "Make a set of keys for Secure Boot and for signing",
		Long: lines(
			"Make the keys PK, KEK and db with their certificates, signature lists and signed",
			"updates, and a key for TPM policies. The same as: inlay keys create NAME --days 365.",
			"No Microsoft certificate is built in; --microsoft-certs takes those of a folder.",
			"",
			"Exit status: 0 done, 1 failed (files exist, among other things), 2 wrong usage.",
		),
		Example: examples("as in the documents", "auroraboot genkey --output /keys"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return arguments("NAME")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.set.Name = genkeyName
			if len(args) > 0 {
				o.set.Name = args[0]
			}
			return runKeysCreate(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.set.Dir, "output", "o", "keys/", "`folder` for the files, made if it is not there")
	f.IntVarP(&o.set.Days, "expiration-in-days", "e", genkeyDays, "`number` of days that the certificates are valid")
	f.BoolVar(&o.withoutVendors, "skip-microsoft-certs-I-KNOW-WHAT-IM-DOING", false, "do not mention that Microsoft's certificates are missing")
	f.StringVar(&o.set.Custom, "custom-cert-dir", "", "`folder` with files db and KEK as firmware exports them, for the lists")
	f.StringVar(&o.set.Microsoft, "microsoft-certs", "", "`folder` with folders db and KEK of certificates, for the lists")
	f.BoolVar(&o.set.Force, "force", false, "replace files that exist")
	return c
}
