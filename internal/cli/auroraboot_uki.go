package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"inlay/internal/media"
)

// newBuildUKI is auroraboot's build-uki, mapped onto inlay media iso.
func newBuildUKI(env *Env) *cobra.Command {
	o := mediaISOOptions{}
	c := &cobra.Command{
		Use:     "build-uki SOURCE",
		Aliases: []string{"bu"},
		Short:   "Build a signed system to boot: an ISO, a container image, or its files",
		Long: lines(
			"Build a medium from SOURCE, which is dir:, file:, docker: or oci:. The same as:",
			"inlay media iso SOURCE --rootfs-as-initrd --output-type TYPE.",
			"",
			"-k DIR names the folder that genkey made, and is all that is needed. Who keeps the",
			"keys apart names them with --sb-key, --sb-cert, --tpm-pcr-private-key and --public-keys.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 3 an extension is refused, 4 one is not",
			"there, 5 one is not for this system, 130 interrupted.",
		),
		Example: examples("as in the documents",
			"auroraboot build-uki --output-dir /result --overlay-iso /system-extensions -k /keys --output-type iso oci:IMAGE"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 {
				return usagef("usage: "+c.UseLine(), "no image provided")
			}
			return arguments("SOURCE")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.system.source = args[0]
			if err := o.checkBuildUKI(c); err != nil {
				return err
			}
			o.log = &buildUKILog{env: env, options: &o}
			o.log.say("Starting auroraboot version " + buildVersion().Version)
			return runMediaISO(c.Context(), env, o)
		},
	}
	o.image.rootfsAsInitrd = true
	o.system.owner = "auto"
	f := c.Flags()
	f.StringVarP(&o.name, "name", "n", "", "call the result `NAME`, with .iso or .tar behind it")
	f.StringVarP(&o.output, "output-dir", "d", ".", "`folder` in which the result appears")
	f.StringVarP(&o.outputType, "output-type", "t", "uki", "what to make: iso, container or uki (the files, in a folder)")
	f.StringVarP(&o.system.overlay, "overlay-rootfs", "o", "", "lay the files of the folder `DIR` over the source's")
	f.StringVarP(&o.overlay, "overlay-iso", "i", "", "put the files of the folder `DIR` at the root of the ISO")
	f.StringArrayVar(&o.extensions, "extension", nil, "put the extension in `FILE`, or at a URI, on the ISO (repeatable)")
	f.BoolVar(&o.allowUntrusted, "allow-untrusted", false, "put extensions in --overlay-iso on the ISO that its system would refuse")
	f.StringVar(&o.image.title, "boot-branding", "Kairos", "the system's `name` in the boot menu")
	f.BoolVar(&o.version, "include-version-in-config", false, "note the system's version in the boot entries")
	f.BoolVar(&o.words, "include-cmdline-in-config", false, "note what words an entry adds in the boot entries")
	f.StringArrayVarP(&o.image.extra, "extra-cmdline", "c", nil, "make one more entry, which has these `words` more (repeatable)")
	f.StringVarP(&o.image.extend, "extend-cmdline", "x", "", "add `words` to the entry")
	f.StringArrayVarP(&o.image.entries, "single-efi-cmdline", "s", nil, "make one more entry of `TITLE:WORDS` (repeatable)")
	f.StringVarP(&o.image.keys, "keys", "k", "", "sign with, and enrol, the keys in `DIR`")
	f.StringVar(&o.publicKeys, "public-keys", "", "enrol PK.auth, KEK.auth and db.auth in `DIR`")
	f.StringVar(&o.image.pcrKey, "tpm-pcr-private-key", "", "sign policies for the TPM's PCR 11 with the PEM key in `FILE`")
	f.StringVar(&o.image.signing.privateKey, "sb-key", "", "sign for Secure Boot with the PEM key in `FILE`")
	f.StringVar(&o.image.signing.certificate, "sb-cert", "", "the PEM certificate of --sb-key in `FILE`")
	f.StringVar(&o.image.signing.signer, "signer", "", "sign for Secure Boot with an external program: `exec:PROGRAM`")
	f.IntVar(&o.image.warnMiB, "efi-size-warn", media.DefaultWarnSize>>20, "warn of an image of more than so many `MiB`; 0 never does")
	f.StringVar(&o.enroll, "secure-boot-enroll", "if-safe", "when the boot loader enrols keys: off, manual, if-safe (in virtual machines) or force")
	f.StringVar(&o.image.splash, "splash", "", "show the bitmap (BMP) in `FILE` while booting")
	f.BoolVar(&o.image.profiles, "cmd-lines-v2", false, "make profiles inside of one image of --extra-cmdline, and not more images")
	f.BoolVar(&o.loader.SourceOnly, "sdboot-in-source", false, "take systemd-boot and the stub from the source, and never from this machine")
	f.BoolVar(&o.system.insecure, "allow-insecure-registries", false, "allow plain HTTP and unknown certificates")
	return c
}

// checkBuildUKI refuses what the documents' tool refuses, in its words.
func (o *mediaISOOptions) checkBuildUKI(c *cobra.Command) error {
	if len(o.image.extra) > 0 && o.image.extend != "" {
		return usagef("pass one of them", "extra-cmdline and extend-cmdline flags are mutually exclusive")
	}
	if strings.HasPrefix(o.image.signing.privateKey, "pkcs11:") {
		return usagef("write --signer exec:PROGRAM, for a program that asks the token", "--sb-key does not take PKCS #11 URIs")
	}
	for _, f := range []struct{ flag, path string }{
		{"tpm-pcr-private-key", o.image.pcrKey}, {"sb-key", o.image.signing.privateKey}, {"sb-cert", o.image.signing.certificate},
	} {
		if _, err := os.Stat(f.path); f.path != "" && errors.Is(err, fs.ErrNotExist) {
			return usagef("check the spelling of the path", "%s does not exist: %s", f.flag, f.path)
		}
	}
	if o.image.keys == "" {
		for _, f := range []struct {
			flag  string
			given bool
		}{
			{"tpm-pcr-private-key", o.image.pcrKey != ""},
			{"sb-key", o.image.signing.privateKey != "" || o.image.signing.signer != ""},
			{"sb-cert", o.image.signing.certificate != ""},
		} {
			if !f.given {
				return usagef("pass -k DIR with the folder that genkey made, or all of --sb-key, --sb-cert and --tpm-pcr-private-key", "Required flag %q not set", f.flag)
			}
		}
	}
	// Alone it has nothing to do, which the documents' tool takes.
	o.image.profiles = o.image.profiles && len(o.image.extra) > 0
	return o.image.check(c)
}

// buildUKILog prints steps as the documents' tool does.
type buildUKILog struct {
	env     *Env
	options *mediaISOOptions
}

func (l *buildUKILog) say(text string) {
	fmt.Fprintf(l.env.Stderr, "%s INF %s\n", l.env.Now().UTC().Format(time.RFC3339), printable(text))
}

func (l *buildUKILog) result(r *media.MediumResult) {
	l.env.warn(r.Warnings)
	for _, e := range r.Extensions {
		l.say("Extension " + e.Path + ": " + verdictText(e.Verdict))
	}
	l.say(fmt.Sprintf("Done building %s at: %s", l.options.outputType, l.options.output))
	l.say("output=" + r.Path)
}
