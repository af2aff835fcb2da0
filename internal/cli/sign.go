package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/sign"
)

type signOptions struct {
	image     string
	signing   signingOptions
	signature string
	printText bool
	json      bool
}

func newSign(env *Env) *cobra.Command {
	o := signOptions{}
	c := &cobra.Command{
		Use:   "sign IMAGE",
		Short: "Sign an image that exists, or attach a signature made elsewhere",
		Long: lines(
			"Sign the root hash of IMAGE, built by inlay, systemd-repart or another tool, and",
			"put the signature into it. An image without a place for one gets it. Data is not",
			"written again; a kill at any moment leaves the old image or the new one. An image",
			"that a loop device uses, one that is merged for example, is not touched.",
			"",
			"What is signed is the root hash as 64 hexadecimal digits, without a newline:",
			"--print-text prints just that.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such image, 6 busy.",
		),
		Example: lines(
			examples("with a key", "inlay sign k3s.sysext.raw --private-key keys/db.key --certificate keys/db.pem"),
			examples("with openssl, on a machine that has the key",
				"inlay sign k3s.sysext.raw --print-text > k3s.roothash",
				"openssl smime -sign -binary -noattr -in k3s.roothash -signer db.pem -inkey db.key -outform der -out k3s.p7s",
				"inlay sign k3s.sysext.raw --signature k3s.p7s --certificate db.pem"),
		),
		Args: arguments("IMAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.image = args[0]
			return runSign(c.Context(), env, o)
		},
	}
	f := c.Flags()
	o.signing.flags(f)
	f.StringVar(&o.signature, "signature", "", "attach the detached PKCS #7 signature (DER) in `FILE`")
	f.BoolVar(&o.printText, "print-text", false, "only print the text to sign")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	return c
}

func runSign(ctx context.Context, env *Env, o signOptions) error {
	if o.printText {
		if o.signing.any() || o.signature != "" {
			return usagef("print the text first, sign it, then attach the signature", "--print-text goes with no other flag")
		}
		text, err := sign.Text(o.image)
		if err != nil {
			return imageError(err)
		}
		_, err = io.WriteString(env.Stdout, text)
		return err
	}
	s, err := o.settings(ctx, env)
	if err != nil {
		return err
	}
	result, err := sign.Run(ctx, o.image, s)
	if errors.Is(err, sign.ErrBusy) {
		return &exitError{hint.Wrap(err, "wait for it and try again"), exitBusy}
	}
	if used, ok := errors.AsType[*sign.InUseError](err); ok {
		return &exitError{hint.Wrap(err, "sign a copy (cp) and put it in the image's place (mv); or unmerge, unmount or detach what uses it: "+used.By), exitBusy}
	}
	if err != nil {
		return imageError(err)
	}
	if o.json {
		return env.printJSON(result)
	}
	env.printFacts([]fact{
		{"image", result.Path},
		{"size", size(result.Size)},
		{"root hash", result.RootHash},
		{"signature", "signed by " + result.Subject},
	})
	if !result.InPlace {
		fmt.Fprintln(env.Stderr, "note: the image was copied: its table left no room to add the signature in place")
	}
	return nil
}

func (o *signOptions) settings(ctx context.Context, env *Env) (sign.Options, error) {
	if o.signature == "" {
		signer, err := o.signing.pair(ctx, env)
		if err == nil && signer == nil {
			err = usagef("pass --private-key and --certificate, --signer and --certificate, or --signature and --certificate", "nothing says who signs")
		}
		return sign.Options{Signer: signer}, err
	}
	switch {
	case o.signing.privateKey != "" || o.signing.signer != "":
		return sign.Options{}, usagef("attach a signature or make one", "--signature and a key are both given")
	case o.signing.certificate == "":
		return sign.Options{}, usagef("the signature is checked with the signer's certificate before it goes in", "--certificate is missing")
	}
	certificate, err := keys.LoadCertificate(o.signing.certificate)
	if err != nil {
		return sign.Options{}, err
	}
	pkcs7, err := readBounded(o.signature, maxSignatureFile)
	return sign.Options{PKCS7: pkcs7, Certificate: certificate}, err
}

// maxSignatureFile bounds what is read as a signature; one has about 2 KiB.
const maxSignatureFile = 1 << 20

func readBounded(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("%q has more than %d bytes", file, most)
	}
	return content, err
}

// imageError gives an image that is not there its own exit code.
func imageError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return notFound(err)
	}
	return err
}
