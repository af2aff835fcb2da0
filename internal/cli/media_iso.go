package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"inlay/internal/fetch"
	"inlay/internal/media"
	"inlay/internal/secureboot"
)

// mediaISOOptions are the flags of inlay media iso.
type mediaISOOptions struct {
	system         systemOptions
	image          imageOptions
	output         string
	outputType     string
	name           string
	publicKeys     string
	enroll         string
	loader         media.LoaderSource
	version, words bool
	espMiB         int
	overlay        string
	extensions     []string
	allowUntrusted bool
	json           bool
	quiet          bool
	// log, if not nil, tells of the build in place of the bar and the result.
	log *buildUKILog
}

func newMediaISO(env *Env) *cobra.Command {
	o := mediaISOOptions{}
	c := &cobra.Command{
		Use:   "iso SOURCE",
		Short: "Make an installation medium that carries extensions",
		Long: lines(
			"Make NAME.iso: a medium that boots from a disc and from a stick, with a signed boot",
			"loader, the unified kernel images of SOURCE, the Secure Boot keys to enrol, and",
			"extensions. Or make only what lies in its EFI system partition: in a container image,",
			"which nodes upgrade from, or in a folder.",
			"",
			sourceLines(),
			"",
			"An --extension is a file, or a https:, http:, file: or oci: URI. It lies in extensions/",
			"on the medium, where the boot step and installers look, and so may those of",
			"--overlay-iso. Each is verified first, every block of it: it must be signed by a",
			"certificate in the PK, KEK or db that the medium enrols, or by one that the image",
			"carries, and be for this system. What the node would refuse is refused here.",
			"",
			"An ISO takes mkfs.vfat, mtools and xorriso, and no root. The result appears when it is",
			"complete. The same input gives the same bytes: no time but SOURCE_DATE_EPOCH (else 1980)",
			"and nothing random is in it.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 3 an extension is refused, 4 one is not",
			"there, 5 one is not for this system, 130 interrupted.",
		),
		Example: lines(
			examples("an ISO that installs Kairos with an extension, under trusted boot",
				"inlay media iso oci:registry.example.org/kairos:v3.4-uki --rootfs-as-initrd --keys keys \\",
				"  --extension k3s.sysext.raw --output out"),
			examples("for machines in setup mode that are to take the keys without a question",
				"inlay media iso dir:root --keys keys --secure-boot-enroll force"),
		),
		Args: arguments("SOURCE"),
		RunE: func(c *cobra.Command, args []string) error {
			o.system.source = args[0]
			if err := o.image.check(c); err != nil {
				return err
			}
			return runMediaISO(c.Context(), env, o)
		},
	}
	o.system.flags(c)
	o.image.flags(c)
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", ".", "`folder` in which the result appears")
	f.StringVarP(&o.outputType, "output-type", "t", "iso", "what to make: iso, container or uki (the files, in a folder)")
	f.StringVarP(&o.name, "name", "n", "", "call the result `NAME`, with .iso or .tar behind it (default what the source is called)")
	f.StringVar(&o.publicKeys, "public-keys", "", "enrol PK.auth, KEK.auth and db.auth in `DIR` (default those of --keys)")
	f.StringVar(&o.enroll, "secure-boot-enroll", "if-safe", "when the boot loader enrols them: off, manual, if-safe (in virtual machines) or force")
	f.StringVar(&o.loader.File, "boot-loader", "", "systemd-boot in `FILE` (default the source's, then this machine's)")
	f.BoolVar(&o.loader.SourceOnly, "sdboot-in-source", false, "take systemd-boot and the stub from the source, and never from this machine")
	f.BoolVar(&o.version, "include-version-in-config", false, "note the system's version in the boot entries")
	f.BoolVar(&o.words, "include-cmdline-in-config", false, "note what words an entry adds in the boot entries")
	f.IntVar(&o.espMiB, "esp-size", 0, "size of the EFI system partition in `MiB` (default as small as it can be)")
	f.StringVar(&o.overlay, "overlay-iso", "", "put the files of the folder `DIR` at the root of the ISO")
	f.StringArrayVar(&o.extensions, "extension", nil, "put the extension in `FILE`, or at a URI, on the ISO (repeatable)")
	f.BoolVar(&o.allowUntrusted, "allow-untrusted", false, "put extensions in --overlay-iso on the ISO that its system would refuse")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	complete(c, "output-type", "iso", "container", "uki")
	complete(c, "secure-boot-enroll", media.EnrollWords()...)
	return c
}

// check finds what is wrong with the flags before anything is read.
func (o *mediaISOOptions) check() error {
	if o.espMiB < 0 || o.espMiB > 1<<20 {
		return usagef("give a number of MiB, or leave it out", "--esp-size does not take %d", o.espMiB)
	}
	m := o.medium()
	if err := m.Check(); err != nil {
		return usage(err)
	}
	for _, d := range []struct{ path, missing, noFolder string }{
		{o.system.overlay, "overlay-rootfs directory does not exist: %s", "overlay-rootfs is not a directory: %s"},
		{o.overlay, "overlay directory does not exist: %s", "overlay is not a directory: %s"},
		{o.publicKeys, "keys directory does not exist: %s", "keys is not a directory: %s"},
	} {
		if d.path == "" {
			continue
		}
		info, err := os.Stat(d.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return usagef("check the spelling of the path", d.missing, d.path)
		case err != nil:
			return err
		case !info.IsDir():
			return usagef("name a folder", d.noFolder, d.path)
		}
	}
	return checkOutput(o.output)
}

// medium is what the flags say, but for keys and images.
func (o *mediaISOOptions) medium() media.MediumOptions {
	return media.MediumOptions{
		Type: media.OutputType(o.outputType), Name: o.name, Enroll: o.enroll, Loader: o.loader,
		Version: o.version, Cmdline: o.words, ESPSize: int64(o.espMiB) << 20,
		Overlay: o.overlay, Extensions: o.extensions, AllowUntrusted: o.allowUntrusted,
		Fetch: fetch.Request{AuthFile: o.system.authFile, Insecure: o.system.insecure},
	}
}

func runMediaISO(ctx context.Context, env *Env, o mediaISOOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	m := o.medium()
	m.Tools = media.Tools{Path: env.Getenv("PATH")}
	if m.Type == media.OutputISO {
		if err := m.Tools.RequireISO(); err != nil {
			return err
		}
	}
	var err error
	if m.UKI, err = o.image.settings(ctx, env); err != nil {
		return err
	}
	if m.Keys, err = o.enrolled(); err != nil {
		return err
	}
	m.Loader.Host = m.UKI.Host
	silent := o.quiet || o.json || o.log != nil
	system, err := o.system.open(ctx, env, o.output, silent)
	if err != nil {
		return err
	}
	result, err := o.make(ctx, env, m, system, silent)
	if err := errors.Join(err, system.Close()); err != nil {
		return mediumError(err)
	}
	switch {
	case o.log != nil:
		o.log.result(result)
	case o.json:
		return env.printJSON(result)
	default:
		env.printMedium(result)
	}
	return nil
}

func (o *mediaISOOptions) make(ctx context.Context, env *Env, m media.MediumOptions, system *rootSystem, silent bool) (*media.MediumResult, error) {
	if err := o.image.complete(env, &m.UKI, system, silent); err != nil {
		return nil, err
	}
	m.Base = cmp.Or(o.image.cmdline, media.CmdlinePlain)
	if o.image.cmdline == "" && system.Kairos() {
		m.Base = media.CmdlineKairos
	}
	m.UKI.Output, m.UKI.Digest = o.output, o.json
	m.Now = env.Now()
	m.Fetch.Architecture = env.Architecture
	var err error
	if m.Epoch, err = env.epoch(); err != nil {
		return nil, usage(err)
	}
	m.Step = func(s media.Step) {
		switch {
		case o.log != nil:
			o.log.say(string(s))
		case !silent:
			fmt.Fprintln(env.Stderr, s)
		}
	}
	m.UKI.Step = m.Step
	result, err := media.MakeMedium(ctx, system.System, m)
	if err != nil {
		return nil, err
	}
	result.Images.Source = system.origin
	return result, nil
}

// enrolled is the set whose .auth files go onto the medium, or nil.
func (o *mediaISOOptions) enrolled() (*secureboot.Set, error) {
	folder := cmp.Or(o.publicKeys, o.image.keys)
	if folder == "" {
		return nil, nil
	}
	var missing []string
	for _, name := range []string{"db.auth", "KEK.auth", "PK.auth"} {
		if _, err := os.Stat(filepath.Join(folder, name)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 3 && o.publicKeys == "" {
		return nil, nil // a key to sign with, and no more
	}
	if len(missing) > 0 {
		return nil, usagef("auroraboot genkey and inlay keys create make them", "keys directory does not contain required file: %s", missing[0])
	}
	set, err := secureboot.OpenSet(folder)
	if err == nil && folder == o.image.keys {
		// What is to be said of it was said when it was opened to sign.
		set.Warnings = nil
	}
	return set, err
}

// mediumError gives an error about a medium its exit code.
func mediumError(err error) error {
	if e, ok := errors.AsType[*media.RefusedError](err); ok {
		code := verdictCode(e.Verdict)
		if code == exitDone {
			code = exitRefused
		}
		return &exitError{err, code}
	}
	if errors.Is(err, fetch.ErrNotFound) {
		return notFound(err)
	}
	return err
}
