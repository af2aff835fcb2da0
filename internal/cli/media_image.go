package cli

import (
	"context"
	"crypto"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/build"
	"inlay/internal/keys"
	"inlay/internal/media"
	"inlay/internal/secureboot"
)

// imageOptions are the flags that say what goes into unified kernel images.
type imageOptions struct {
	kernel, stub, splash string
	rootfsAsInitrd       bool
	cmdline, extend      string
	extra, roles         []string
	entries              []string
	profiles             bool
	title                string
	keys                 string
	signing              signingOptions
	pcrKey               string
	certificates         []string
	warnMiB              int
}

func (o *imageOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.kernel, "kernel", "", "the `VERSION` or path of the kernel, if the source has several (default the newest)")
	f.StringVar(&o.stub, "stub", "", "systemd's EFI stub in `FILE` (default the source's, then this machine's)")
	f.StringVar(&o.splash, "splash", "", "show the bitmap (BMP) in `FILE` while booting")
	f.BoolVar(&o.rootfsAsInitrd, "rootfs-as-initrd", false, "pack the whole root file system, as trusted boot does, and not the source's initrd")
	f.StringVar(&o.cmdline, "cmdline", "", "the kernel's `words`, in place of the default")
	f.StringVar(&o.extend, "extend-cmdline", "", "add `words` to each entry")
	f.StringArrayVar(&o.extra, "extra-cmdline", nil, "make one more entry, which has these `words` more (repeatable)")
	f.BoolVar(&o.profiles, "profiles", false, "make profiles inside of one image of --extra-cmdline, and not more images")
	f.StringArrayVar(&o.roles, "role", nil, "make the image for a `role`: install, active, passive or recovery (repeatable; default install)")
	f.StringArrayVar(&o.entries, "entry", nil, "make one more entry of `TITLE:WORDS` (repeatable)")
	f.StringVar(&o.title, "title", "", "the system's `name` in boot menus")
	f.StringVarP(&o.keys, "keys", "k", "", "sign with the Secure Boot set in `DIR`: db.key, db.pem and tpm2-pcr-private.pem")
	o.signing.flags(f)
	f.StringVar(&o.pcrKey, "pcr-key", "", "sign policies for the TPM's PCR 11 with the PEM key in `FILE`")
	f.StringArrayVar(&o.certificates, "extension-certificate", nil, "carry the PEM certificate in `FILE`, for extensions that its key signed (repeatable)")
	f.IntVar(&o.warnMiB, "efi-size-warn", media.DefaultWarnSize>>20, "warn of an image of more than so many `MiB`; 0 never does")
	complete(c, "role", media.Roles()...)
}

// check finds what is wrong with the flags before anything is read.
func (o *imageOptions) check(c *cobra.Command) error {
	switch {
	case o.keys != "" && o.signing.any():
		return usagef("pass the one or the other", "--keys and a key of its own are both given")
	case o.keys != "" && o.pcrKey != "":
		return usagef("pass the one or the other", "--keys and --pcr-key are both given")
	case c.Flags().Changed("cmdline") && strings.TrimSpace(o.cmdline) == "":
		return usagef("give it a word such as quiet, or leave --cmdline out: an image without a command line takes one from anybody", "--cmdline is empty")
	case o.warnMiB < 0:
		return usagef("pass 0 to be never warned", "--efi-size-warn does not take %d", o.warnMiB)
	case o.profiles && len(o.extra) == 0:
		return usagef("add --extra-cmdline WORDS for each profile", "--profiles has nothing to make profiles of")
	}
	// What is wrong with entries is so for every system.
	_, err := media.Entries(o.entryOptions(false))
	return usage(err)
}

func (o *imageOptions) entryOptions(kairos bool) media.EntryOptions {
	return media.EntryOptions{
		Kairos: kairos, Cmdline: o.cmdline, Title: o.title, Roles: o.roles, Extend: o.extend, Extra: o.extra, Profiles: o.profiles, Single: o.entries,
	}
}

// settings turns the flags into what the service wants, but for what depends on
// the system.
func (o *imageOptions) settings(ctx context.Context, env *Env) (media.UKIOptions, error) {
	s := media.UKIOptions{
		Kernel: o.kernel, Stub: o.stub, Host: "/", Splash: o.splash, RootfsAsInitrd: o.rootfsAsInitrd,
		WarnSize: int64(o.warnMiB) << 20,
	}
	if err := o.keysInto(ctx, env, &s); err != nil {
		return s, err
	}
	for _, file := range o.certificates {
		certificate, err := keys.LoadCertificate(file)
		if err != nil {
			return s, err
		}
		s.Certificates = append(s.Certificates, media.Certificate{Name: certificateName(file), Certificate: certificate})
	}
	return s, nil
}

func (o *imageOptions) keysInto(ctx context.Context, env *Env, s *media.UKIOptions) error {
	if o.keys != "" {
		set, err := secureboot.OpenSet(o.keys)
		if err != nil {
			return err
		}
		return env.useSet(set, s)
	}
	var err error
	if s.Signer, err = o.signing.pair(ctx, env); err != nil || o.pcrKey == "" {
		return err
	}
	s.PCRKey, err = env.loadPCRKey(o.pcrKey)
	return err
}

// useSet takes from a set what an image needs.
func (env *Env) useSet(set *secureboot.Set, s *media.UKIOptions) error {
	pair, err := set.Pair("db")
	if err != nil {
		return err
	}
	env.warn(set.Warnings)
	s.Signer, s.PCRKey = &pair, set.PCRKey
	if set.PCRKey == nil {
		env.warn([]string{"the set has no tpm2-pcr-private.pem, so no policies for the TPM are signed: disks cannot be bound to the image"})
	}
	if set.Extension.Certificate != nil {
		s.Certificates = append(s.Certificates, media.Certificate{Name: "ext", Certificate: set.Extension.Certificate})
	}
	return nil
}

func (env *Env) loadPCRKey(file string) (crypto.Signer, error) {
	key, warning, err := keys.LoadKey(file)
	if err == nil && warning != "" {
		env.warn([]string{warning})
	}
	return key, err
}

// certificateName makes the name that a certificate gets in the initrd.
func certificateName(file string) string {
	base := filepath.Base(file)
	name := strings.Map(func(c rune) rune {
		if strings.ContainsRune("._-", c) || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			return c
		}
		return '_'
	}, strings.TrimSuffix(base, filepath.Ext(base)))
	return strings.TrimLeft(name, ".")
}

// makeImages builds the images for an opened system.
func (o *imageOptions) complete(env *Env, s *media.UKIOptions, system *rootSystem, quiet bool) error {
	kairos := system.Kairos()
	entries := o.entryOptions(kairos)
	if release, err := system.Release(); err == nil && entries.Title == "" && !kairos {
		entries.Title = release.Name()
	}
	var err error
	if s.Entries, err = media.Entries(entries); err != nil {
		return usage(err)
	}
	s.Architecture = system.architecture
	bar := env.newProgress(quiet)
	s.Step = func(step media.Step) {
		if step == media.StepInitrd {
			bar.step(build.StepPack)
		}
	}
	return nil
}
