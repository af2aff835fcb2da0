package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"inlay/internal/keys"
)

func newKeys(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Make keys and certificates for signing extensions",
		Long: lines(
			"Make keys and certificates for signing extensions.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage.",
		),
		Example: examples("a key pair for the tour in the README",
			"inlay keys create acme --output keys"),
	}
	group(c)
	c.AddCommand(newKeysCreate(env))
	return c
}

// keysReport is what "inlay keys create --json" prints.
type keysReport struct {
	Files []string `json:"files"`
}

func newKeysCreate(env *Env) *cobra.Command {
	o := keys.CreateOptions{Clock: env.Now}
	var algorithm string
	var asJSON bool
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a signing key and its certificate",
		Long: lines(
			"Make db.key, a private key that only its owner can read, and db.pem, its",
			"self-signed certificate for \"CN=NAME-db\". Files that exist are kept unless",
			"--force is given.",
			"",
			"Exit status: 0 done, 1 failed (files exist, among other things), 2 wrong usage.",
		),
		Example: lines(
			examples("RSA 2048, which all firmware takes", "inlay keys create acme --output keys"),
			examples("a smaller key and signature", "inlay keys create acme --output keys --algorithm p256"),
		),
		Args: arguments("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			o.Name = args[0]
			if o.Days == 0 {
				return usagef("leave --days out for ten years", "a certificate cannot be valid for 0 days")
			}
			var err error
			if o.Algorithm, err = choice("--algorithm", algorithm, keys.Algorithms()...); err != nil {
				return err
			}
			if err := o.Check(); err != nil {
				return usage(err)
			}
			files, err := keys.Create(o)
			if err != nil {
				return err
			}
			if asJSON {
				return env.printJSON(keysReport{files})
			}
			for _, f := range files {
				fmt.Fprintln(env.Stdout, printable(f))
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&o.Dir, "output", "o", "keys", "`folder` for the files, made if it is not there")
	f.StringVar(&algorithm, "algorithm", string(keys.RSA2048), "`kind` of key: rsa2048, rsa3072, rsa4096, p256 or p384")
	f.IntVar(&o.Days, "days", keys.DefaultDays, "`number` of days that the certificate is valid")
	f.BoolVar(&o.Force, "force", false, "replace files that exist")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	var words []string
	for _, a := range keys.Algorithms() {
		words = append(words, string(a))
	}
	complete(c, "algorithm", words...)
	return c
}
