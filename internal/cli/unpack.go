package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/bootstate"
	"inlay/internal/bundle"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/source"
)

// unpackOptions are the flags of inlay unpack, as typed.
type unpackOptions struct {
	image, dir string
	root       string
	arch       string
	authFile   string
	insecure   bool
	json       bool
	quiet      bool
	how        bundle.Options
}

const sourcesText = `IMAGE is one of
  oci:REF       an image in a registry
  docker:REF    an image of the Docker or Podman daemon
  REF           the daemon's image if it has one for the architecture, else the registry's
  file:PATH     a docker or OCI archive, or the tar of one layer, compressed or not
  layout:PATH   an OCI layout, with :TAG or @DIGEST if it holds several images
  dir:PATH      a folder`

func newUnpack(env *Env) *cobra.Command {
	o := unpackOptions{}
	c := &cobra.Command{
		Use:   "unpack IMAGE DIR",
		Short: "Unpack a container image to a folder, such as an extension's",
		Long: lines(
			"Unpack all layers of a container image, with owners, modes, times, extended attributes,",
			"hard links and devices, and nothing outside of DIR. DIR appears complete, once every",
			"digest has been checked, or what was there before stays.",
			"",
			"A folder that was unpacked before is replaced, and left alone if it holds that very image.",
			"Any other that is not empty is refused unless --replace is given.",
			"",
			sourcesText,
			"",
			"At the end it says whether DIR is an extension that this machine merges or, if not, what",
			"is missing.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such root, 5 an image for other",
			"machines, 6 busy, 130 interrupted.",
		),
		Example: lines(
			examples("an extension from a registry", "inlay unpack oci:registry.example.org/kubo:0.15 /var/lib/extensions/kubo", "inlay sysext refresh"),
			examples("without root", "inlay unpack --no-same-owner file:image.tar image"),
		),
		Args: arguments("IMAGE", "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			o.image, o.dir = args[0], args[1]
			return runUnpack(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.arch, "arch", "", "`architecture` of the image: amd64, arm64 or riscv64 (default: this machine's)")
	o.flags(c)
	complete(c, "arch", "amd64", "arm64", "riscv64")
	return c
}

// flags are those that inlay unpack has under each of its names.
func (o *unpackOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.root, "root", "/", "the machine is the one below `DIR`, and so is the folder")
	f.BoolVar(&o.how.Replace, "replace", false, "replace whatever folder is there")
	f.BoolVar(&o.how.NoSameOwner, "no-same-owner", false, "own all files, and leave out what only root can make: devices, set-user-ID bits, capabilities")
	f.StringVar(&o.authFile, "authfile", "", "registry credentials in `FILE`, besides docker's and podman's own")
	f.BoolVar(&o.insecure, "insecure-registry", false, "allow plain HTTP and unknown certificates")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
}

// unpackReport is the JSON of inlay unpack.
type unpackReport struct {
	Image  string `json:"image"`
	Origin string `json:"origin"`
	*bundle.Result
}

func runUnpack(ctx context.Context, env *Env, o unpackOptions) error {
	ref, err := source.Parse(o.image)
	if err != nil {
		return usage(err)
	}
	architecture := env.Architecture
	if o.arch != "" {
		a, err := extension.ArchitectureNamed(o.arch)
		if err != nil {
			return usage(err)
		}
		architecture = a.Go
	}
	root, err := openRoot(o.root)
	if err != nil {
		return err
	}
	defer root.Close()
	place, err := o.place(root)
	if err != nil {
		return err
	}
	defer func() { _ = place.Close() }()
	bar := env.newProgress(o.quiet || o.json)
	image, err := source.Open(ctx, ref, source.Options{
		Architecture: architecture, AuthFile: o.authFile, Insecure: o.insecure, DockerHost: env.Getenv("DOCKER_HOST"),
		SpoolDir: place.Near(), Progress: bar.bytes,
	})
	if err != nil {
		return err
	}
	o.how.Machine, o.how.Architecture = root, extension.ArchitectureWord(architecture)
	askMachine(root, &o.how)
	report := unpackReport{Image: o.image, Origin: image.Origin}
	if err = bundle.CheckPlatform(image, architecture); err == nil {
		report.Result, err = bundle.Unpack(ctx, place, []bundle.Part{{Image: image, Pin: pinOf(ref)}}, o.how)
	}
	bar.end()
	if err := errors.Join(err, image.Close()); err != nil {
		return bundleError(err)
	}
	if o.json {
		return env.printJSON(report)
	}
	env.printUnpacked(report)
	return nil
}

// place is where the folder goes. A relative one is relative to here, unless there
// is another root.
func (o *unpackOptions) place(root *os.Root) (*bundle.Place, error) {
	if o.dir == "" {
		return nil, usagef("name the folder that the image is to be unpacked to", "DIR is empty")
	}
	if filepath.Clean(o.root) != "/" {
		return bundle.Below(root, o.dir)
	}
	return bundle.At(o.dir)
}

// askMachine notes what a machine wants of folders: whether it lets in signed
// extensions only, as a node does that has no policy of its own, and where it looks.
// It is advice: what cannot be found out now, the merge will say.
func askMachine(root *os.Root, o *bundle.Options) {
	state, err := bootstate.Detect(root)
	if err != nil {
		state = &bootstate.Report{}
	}
	s := &system{root: root, state: state}
	if s.trust() != nil {
		return
	}
	if rule := s.rule(); rule.Policy.NeedsSignature() {
		o.SignedOnly = rule.Because
	}
	search := s.config.Layering.Search
	o.NoOldFolders = search != nil && !*search
}

// pinOf is the digest that a reference names.
func pinOf(r source.Ref) source.Digest {
	if r.Digest != "" {
		return r.Digest
	}
	_, text, _ := strings.Cut(r.Image, "@")
	d, err := source.ParseDigest(text)
	if err != nil {
		return ""
	}
	return d
}

// bundleError gives an error of bundles its exit code and the advice that it lacks.
func bundleError(err error) error {
	if _, ok := errors.AsType[*bundle.BusyError](err); ok {
		return &exitError{err, exitBusy}
	}
	if _, ok := errors.AsType[*bundle.PlatformError](err); ok {
		return &exitError{err, exitIncompatible}
	}
	if errors.Is(err, fs.ErrPermission) {
		return hint.Default(err, "run it as root, or name a folder that you may write to")
	}
	return err
}
