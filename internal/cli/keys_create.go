package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
)

// keysOptions are the flags of "inlay keys create".
type keysOptions struct {
	set                   secureboot.SetOptions
	algorithm             string
	extensionKey, onlyKey string
	caCertificate, caKey  string
	asJSON                bool
	// withoutVendors says that nobody needs to be told what will be missing.
	withoutVendors bool
}

// keysReport is what "inlay keys create --json" prints.
type keysReport struct {
	Files    []string     `json:"files"`
	Owner    string       `json:"owner,omitempty"`
	Lists    []listReport `json:"lists,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	Notes    []string     `json:"notes,omitempty"`
}

type listReport struct {
	Variable     string `json:"variable"`
	Certificates int    `json:"certificates"`
	Hashes       int    `json:"hashes"`
	Others       int    `json:"others"`
}

func newKeysCreate(env *Env) *cobra.Command {
	o := keysOptions{set: secureboot.SetOptions{Clock: env.Now}}
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a set of keys for Secure Boot and for signing",
		Long: lines(
			"Make what a machine's owner needs for Secure Boot: for PK, KEK and db each the",
			"private key (.key), the certificate for \"CN=NAME-PK\" and so on (.pem, .der), the",
			"signature lists (.esl) and the signed update of the firmware's variable (.auth);",
			"and tpm2-pcr-private.pem, which signs policies for TPMs. db.key signs what the",
			"firmware starts, and extensions too; --extension-key makes a key for extensions",
			"alone, ext.key and ext.pem, with which nothing starts. Only their owner can read",
			"the keys. Files that exist are kept unless --force is given.",
			"",
			"Certificates that firmware must know besides, such as Microsoft's, come from",
			"folders that you name; none are built in.",
			"",
			"Exit status: 0 done, 1 failed (files exist, among other things), 2 wrong usage.",
		),
		Example: lines(
			examples("RSA 2048, which all firmware takes", "inlay keys create acme --output keys"),
			examples("and a key for the machine that builds extensions", "inlay keys create acme --output keys --extension-key p256"),
			examples("issued by the company's own authority", "inlay keys create acme --output keys --ca-cert ca.pem --ca-key ca.key"),
		),
		Args: arguments("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			o.set.Name = args[0]
			return runKeysCreate(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.set.Dir, "output", "o", "keys", "`folder` for the files, made if it is not there")
	f.StringVar(&o.algorithm, "algorithm", string(keys.RSA2048), "`kind` of PK, KEK and db: rsa2048, rsa3072 or rsa4096")
	f.StringVar(&o.extensionKey, "extension-key", "", "make ext.key and ext.pem too, a key of this `kind` for extensions: one of these or p256 or p384")
	f.StringVar(&o.onlyKey, "only-extension-key", "", "make ext.key and ext.pem of this `kind`, and nothing else")
	f.IntVar(&o.set.Days, "days", keys.DefaultDays, "`number` of days that the certificates are valid")
	f.StringVar(&o.caCertificate, "ca-cert", "", "have the certificates issued by the authority whose PEM certificate is in `FILE`")
	f.StringVar(&o.caKey, "ca-key", "", "the authority's PEM key, in `FILE`")
	f.StringVar(&o.set.Custom, "custom-cert-dir", "", "`folder` with files db and KEK as firmware exports them, for the lists")
	f.StringVar(&o.set.Microsoft, "microsoft-certs", "", "`folder` with folders db and KEK of certificates, for the lists")
	f.BoolVar(&o.set.Force, "force", false, "replace files that exist")
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	complete(c, "algorithm", algorithmWords(keys.FirmwareAlgorithms())...)
	complete(c, "extension-key", algorithmWords(keys.Algorithms())...)
	complete(c, "only-extension-key", algorithmWords(keys.Algorithms())...)
	return c
}

func algorithmWords(algorithms []keys.Algorithm) []string {
	var words []string
	for _, a := range algorithms {
		words = append(words, string(a))
	}
	return words
}

func runKeysCreate(ctx context.Context, env *Env, o keysOptions) error {
	if o.set.Days == 0 {
		return usagef("leave the days out, or give 1 or more", "a certificate cannot be valid for 0 days")
	}
	if err := o.algorithms(); err != nil {
		return err
	}
	if err := o.authority(); err != nil {
		return err
	}
	if err := o.set.Check(); err != nil {
		return usage(err)
	}
	r, err := secureboot.CreateSet(ctx, o.set)
	if err != nil {
		return err
	}
	if o.withoutVendors {
		r.Notes = nil
	}
	if o.asJSON {
		report := keysReport{Files: r.Files, Warnings: r.Warnings, Notes: r.Notes}
		for _, l := range r.Lists {
			report.Owner = r.Owner.String()
			report.Lists = append(report.Lists, listReport(l))
		}
		return env.printJSON(report)
	}
	for _, f := range r.Files {
		fmt.Fprintln(env.Stdout, printable(f))
	}
	for _, l := range r.Lists {
		fmt.Fprintf(env.Stdout, "%s: %s\n", l.Variable, describeCount(l))
	}
	env.warn(r.Warnings)
	for _, note := range r.Notes {
		fmt.Fprintf(env.Stderr, "note: %s\n", printable(note))
	}
	return nil
}

// algorithms reads the kinds of keys.
func (o *keysOptions) algorithms() (err error) {
	if o.extensionKey != "" && o.onlyKey != "" {
		return usagef("give one of them", "--extension-key and --only-extension-key exclude each other")
	}
	if o.set.Algorithm, err = choice("--algorithm", strings.ToLower(o.algorithm), keys.FirmwareAlgorithms()...); err != nil {
		if _, known := choice("", strings.ToLower(o.algorithm), keys.Algorithms()...); known == nil {
			err = hint.Wrap(err, "firmware takes RSA keys alone; a key for extensions may be of that kind: --extension-key "+o.algorithm)
		}
		return err
	}
	for _, flag := range []struct{ name, value string }{{"--extension-key", o.extensionKey}, {"--only-extension-key", o.onlyKey}} {
		if flag.value == "" {
			continue
		}
		if o.set.ExtensionKey, err = choice(flag.name, strings.ToLower(flag.value), keys.Algorithms()...); err != nil {
			return err
		}
	}
	o.set.ExtensionOnly = o.onlyKey != ""
	return nil
}

// authority reads the pair that issues the certificates.
func (o *keysOptions) authority() error {
	switch {
	case o.caCertificate == "" && o.caKey == "":
		return nil
	case o.caKey == "":
		return usagef("name its key with --ca-key", "--ca-cert without --ca-key issues nothing")
	case o.caCertificate == "":
		return usagef("name its certificate with --ca-cert", "--ca-key without --ca-cert issues nothing")
	}
	pair, err := keys.Load(o.caKey, o.caCertificate)
	if err != nil {
		return err
	}
	o.set.CA = &pair
	return nil
}

// describeCount says what is in a variable's lists.
func describeCount(l secureboot.ListCount) string {
	text := count(l.Certificates, "certificate")
	if l.Hashes > 0 {
		text += " and " + count(l.Hashes, "digest")
	}
	if l.Others > 0 {
		text += fmt.Sprintf(", %d of them from others", l.Others)
	}
	return text
}
