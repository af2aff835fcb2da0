package cli

import (
	"context"
	"strings"

	"github.com/spf13/pflag"

	"inlay/internal/keys"
)

// signingOptions are the flags that say who signs.
type signingOptions struct {
	privateKey  string
	certificate string
	signer      string
}

func (o *signingOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.privateKey, "private-key", "", "sign with the PEM key in `FILE`")
	f.StringVar(&o.certificate, "certificate", "", "the signer's PEM certificate in `FILE`")
	f.StringVar(&o.signer, "signer", "", "sign with an external program: `exec:PROGRAM`")
}

func (o *signingOptions) any() bool {
	return o.privateKey != "" || o.certificate != "" || o.signer != ""
}

// pair returns the signer that the flags name, or nil if they name none. Half
// a pair is an error: an image must not come out unsigned by accident.
func (o *signingOptions) pair(ctx context.Context, env *Env) (*keys.Pair, error) {
	const both = "a signature needs the key and its certificate: pass --private-key and --certificate"
	switch {
	case !o.any():
		return nil, nil
	case o.privateKey != "" && o.signer != "":
		return nil, usagef("pass one of them", "--private-key and --signer are both given")
	case o.certificate == "":
		return nil, usagef(both, "--certificate is missing")
	case o.privateKey == "" && o.signer == "":
		return nil, usagef(both, "--private-key is missing")
	}
	var pair keys.Pair
	var err error
	if o.signer != "" {
		program, found := strings.CutPrefix(o.signer, "exec:")
		if !found {
			return nil, usagef("write --signer exec:PROGRAM", "--signer does not take %q", o.signer)
		}
		pair, err = keys.Exec(ctx, program, o.certificate)
	} else {
		pair, err = keys.Load(o.privateKey, o.certificate)
	}
	if err != nil {
		return nil, err
	}
	if pair.Warning != "" {
		env.warn([]string{pair.Warning})
	}
	return &pair, nil
}
