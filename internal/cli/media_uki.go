package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"inlay/internal/hint"
	"inlay/internal/media"
)

// mediaUKIOptions are the flags of inlay media uki.
type mediaUKIOptions struct {
	system systemOptions
	image  imageOptions
	output string
	json   bool
	quiet  bool
}

func newMediaUKI(env *Env) *cobra.Command {
	o := mediaUKIOptions{}
	c := &cobra.Command{
		Use:   "uki SOURCE",
		Short: "Make a unified kernel image from a root file system",
		Long: lines(
			"Make NAME.efi: one EFI program with the kernel, its command line, its initrd and the",
			"os-release of SOURCE, signed for Secure Boot, and with signed policies for the TPM.",
			"",
			sourceLines(),
			"",
			"The kernel, its initrd and os-release are the source's. With --rootfs-as-initrd the",
			"whole root file system is packed in place of an initrd, less /boot and what /proc,",
			"/sys, /dev, /run and /tmp hold: so Kairos boots under trusted boot. An initrd holds",
			"no extended attributes; lost file capabilities are named.",
			"",
			"The file is norole.efi for media (role install), active.efi and so on for the roles of",
			"an installed node. Without --cmdline, systems of Kairos boot with Kairos's words and",
			"others with console=ttyS0 console=tty1.",
			"",
			"Images appear when all are complete, or none does. The same input gives the same",
			"bytes. With SOURCE_DATE_EPOCH set, no file is newer than that.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
		),
		Example: lines(
			examples("what Kairos boots, signed with a Secure Boot set",
				"inlay media uki oci:registry.example.org/kairos:v3.4-uki --rootfs-as-initrd --keys keys --output out"),
			examples("a folder that mmdebstrap made, with the initrd in it, unsigned",
				"inlay media uki dir:root --cmdline \"root=LABEL=root quiet\""),
			examples("one image with a second entry for debugging, as a profile",
				"inlay media uki dir:root --keys keys --extra-cmdline systemd.log_level=debug --profiles"),
		),
		Args: arguments("SOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.system.source = args[0]
			if err := o.image.check(c); err != nil {
				return err
			}
			return runMediaUKI(c.Context(), env, o)
		},
	}
	o.system.flags(c)
	o.image.flags(c)
	c.Flags().StringVarP(&o.output, "output", "o", ".", "`folder` in which the images appear")
	c.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	c.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	return c
}

func runMediaUKI(ctx context.Context, env *Env, o mediaUKIOptions) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	settings, err := o.image.settings(ctx, env)
	if err != nil {
		return err
	}
	system, err := o.system.open(ctx, env, o.output, o.quiet || o.json)
	if err != nil {
		return err
	}
	result, err := o.make(ctx, env, settings, system)
	if err := errors.Join(err, system.Close()); err != nil {
		return err
	}
	if o.json {
		return env.printJSON(result)
	}
	env.printUKI(result)
	return nil
}

func (o *mediaUKIOptions) make(ctx context.Context, env *Env, s media.UKIOptions, system *rootSystem) (*media.UKIResult, error) {
	if err := o.image.complete(env, &s, system, o.quiet || o.json); err != nil {
		return nil, err
	}
	s.Output, s.Digest = o.output, o.json
	result, err := media.UKI(ctx, system.System, s)
	if err != nil {
		return nil, err
	}
	result.Source = system.origin
	return result, nil
}

// checkOutput refuses a folder that is not there, before work that takes long.
func checkOutput(folder string) error {
	info, err := os.Stat(folder)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%q is not a folder", folder)
	}
	if err != nil {
		err = fmt.Errorf("looking for the output folder: %w", err)
	}
	return hint.Wrap(err, "make the folder first, or name another one")
}
