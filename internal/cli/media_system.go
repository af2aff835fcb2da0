package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"inlay/internal/build"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/media"
	"inlay/internal/source"
)

// sourceLines is what the help of each command says about its SOURCE.
func sourceLines() string {
	return lines(
		"SOURCE holds the whole root file system; all layers of an image count. It is one of",
		"  dir:PATH      a folder, which is read in place",
		"  file:PATH     a docker or OCI archive, or the tar of one layer, compressed or not",
		"  layout:PATH   an OCI layout, with :TAG or @DIGEST if it holds several images",
		"  docker:REF    an image of the Docker or Podman daemon",
		"  oci:REF       an image in a registry",
		"  REF           the daemon's image if it has one for the architecture, else the registry's",
	)
}

// systemOptions are the flags that say where a root file system comes from.
type systemOptions struct {
	source   string
	arch     string
	overlay  string
	owner    string
	authFile string
	insecure bool
}

func (o *systemOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.arch, "arch", "", "`architecture` that the kernel must be for: amd64, arm64 or riscv64 (default the source's)")
	f.StringVar(&o.overlay, "overlay-rootfs", "", "lay the files of the folder `DIR` over the source's")
	f.StringVar(&o.owner, "owner", "auto", "`owner` of the files: keep, root, or auto: keep, unless a folder is not root's")
	f.StringVar(&o.authFile, "authfile", "", "registry credentials in `FILE`, besides docker's and podman's own")
	f.BoolVar(&o.insecure, "insecure-registry", false, "allow plain HTTP and unknown certificates")
	complete(c, "arch", "amd64", "arm64", "riscv64")
	complete(c, "owner", "auto", "keep", "root")
}

// rootSystem is an opened root file system.
type rootSystem struct {
	*media.System
	origin       media.Origin
	architecture string // that its kernel must be for, in systemd's words; "" any
}

// open reads the root file system; what it must keep lies in spool.
func (o *systemOptions) open(ctx context.Context, env *Env, spool string, quiet bool) (*rootSystem, error) {
	ref, err := source.Parse(o.source)
	if err != nil {
		return nil, usage(err)
	}
	var asked extension.Architecture
	if o.arch != "" {
		if asked, err = extension.ArchitectureNamed(o.arch); err != nil {
			return nil, usage(err)
		}
	}
	owner, err := choice("--owner", o.owner, "auto", "keep", "root")
	if err != nil {
		return nil, err
	}
	s := media.SystemOptions{Overlay: o.overlay, SpoolDir: spool, Owner: media.Owner(owner)}
	if owner == "auto" {
		s.Owner = media.OwnerAuto
	}
	if s.Epoch, err = env.epoch(); err != nil {
		return nil, usage(err)
	}
	if ref.Scheme == source.Dir {
		s.Folder = ref.Path
	}
	bar := env.newProgress(quiet)
	defer bar.end()
	bar.step(build.StepRead)
	image, err := source.Open(ctx, ref, source.Options{
		Architecture: asked.Go,
		AuthFile:     o.authFile,
		Insecure:     o.insecure,
		DockerHost:   env.Getenv("DOCKER_HOST"),
		SpoolDir:     spool,
		Progress:     bar.bytes,
		Wanted:       media.Wanted,
	})
	if err != nil {
		return nil, err
	}
	architecture, err := machineOf(image, asked)
	if err != nil {
		return nil, errors.Join(err, image.Close())
	}
	system, err := media.OpenSystem(ctx, image, s)
	origin := media.Origin{Reference: ref.String(), Origin: image.Origin, Digest: string(image.Digest)}
	if closeErr := image.Close(); err == nil && closeErr != nil {
		err = errors.Join(closeErr, system.Close())
	}
	if err != nil {
		return nil, err
	}
	return &rootSystem{system, origin, architecture}, nil
}

// machineOf returns systemd's word for the machines that an image is for.
func machineOf(image *source.Image, asked extension.Architecture) (string, error) {
	if image.Architecture == "" {
		return asked.Word, nil
	}
	if asked.Go != "" && asked.Go != image.Architecture {
		return "", hint.Wrap(errors.New("the image is for "+image.Architecture+", not for "+asked.Go),
			"pass --arch "+image.Architecture+", or name an image for "+asked.Go)
	}
	return extension.ArchitectureWord(image.Architecture), nil
}
