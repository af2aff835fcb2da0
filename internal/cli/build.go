package cli

import (
	"context"

	"github.com/spf13/cobra"

	"inlay/internal/build"
	"inlay/internal/source"
)

// buildOptions are the flags of inlay build, as typed.
type buildOptions struct {
	name, source  string
	kind          string
	arch          string
	layers        string
	includePaths  []string
	withOpt       bool
	release       []string
	serviceReload bool
	enableUnits   []string
	allowMarkers  bool
	owner         string
	contexts      string
	fileSystem    string
	compression   string
	minKernel     string
	seed          string
	output        string
	authFile      string
	insecure      bool
	signing       signingOptions
	deferSigning  bool
	noCache       bool
	file          string
	jobs          int
	outputGiven   bool
	json          bool
	quiet         bool
	// log, if not nil, tells of the build in place of the bar and the result.
	log *aurorabootLog
}

func newBuild(env *Env) *cobra.Command {
	o := buildOptions{}
	c := &cobra.Command{
		Use:   "build NAME SOURCE",
		Short: "Build an extension image from a container image or a folder",
		Long: lines(
			"Build NAME.sysext.raw (or NAME.confext.raw): a disk image with a read-only file",
			"system, its dm-verity tree and, if a key is given, a signature of its root hash.",
			"It needs neither root nor other programs, and appears complete or not at all.",
			"",
			"SOURCE is one of",
			"  dir:PATH      a folder that holds usr/ (or etc/)",
			"  file:PATH     a docker or OCI archive, or the tar of one layer, compressed or not",
			"  layout:PATH   an OCI layout, with :TAG or @DIGEST if it holds several images",
			"  docker:REF    an image of the Docker or Podman daemon",
			"  oci:REF       an image in a registry",
			"  REF           the daemon's image if it has one for the architecture, else the registry's",
			"",
			"Of a container image the last layer goes in, unless --layers says otherwise; of",
			"that, what lies below /usr (sysext) or /etc (confext) and each --include-path.",
			"",
			"The same input gives the same bytes. With SOURCE_DATE_EPOCH set, no file is newer",
			"than that. Nothing is built if this very image is there already, and neither the",
			"source nor the options nor inlay have changed; --no-cache builds it all the same.",
			"",
			"With --file in place of both, a list in YAML names the extensions, their",
			"architectures and options, and they are built at once, on all processors. What",
			"one fails at stops no other; what is wrong with the list itself is wrong usage.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
		),
		Example: lines(
			examples("from a folder, unsigned", "inlay build hello dir:hello"),
			examples("from a registry, signed, for another architecture",
				"inlay build k3s oci:registry.example.org/k3s-sysext:v1.32 --arch arm64 \\",
				"  --private-key keys/db.key --certificate keys/db.pem"),
			examples("all layers of an image that Docker has, with a service that starts by itself",
				"inlay build agent docker:agent-image --layers all --enable-unit agent.service"),
			examples("everything that a list names, for each of its architectures", "inlay build --file extensions.yaml"),
		),
		Args: o.checkListFlags,
		RunE: func(c *cobra.Command, args []string) error {
			if o.file != "" {
				o.outputGiven = c.Flags().Changed("output")
				return runBuildList(c.Context(), env, o)
			}
			o.name, o.source = args[0], args[1]
			return runBuild(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.kind, "kind", "sysext", "`kind` of extension: sysext or confext")
	f.StringVar(&o.arch, "arch", "", "`architecture`: amd64, arm64 or riscv64 (default this machine's)")
	f.StringVar(&o.layers, "layers", "last", "`layers` to pack: last, all, N or N-M, counted from 1, the lowest")
	f.StringArrayVar(&o.includePaths, "include-path", nil, "pack the folder `PATH` too, such as /opt (repeatable)")
	f.BoolVar(&o.withOpt, "with-opt", false, "the same as --include-path /opt")
	f.StringArrayVar(&o.release, "release", nil, "set `KEY=VALUE` in the release file (repeatable)")
	f.BoolVar(&o.serviceReload, "service-reload", false, "make the service manager reload when the extension is merged")
	f.BoolVar(&o.serviceReload, "service-load", false, "the same as --service-reload")
	f.StringArrayVar(&o.enableUnits, "enable-unit", nil, "start `UNIT` at boot and when the extension is merged (repeatable)")
	f.BoolVar(&o.allowMarkers, "allow-overlay-markers", false, "let in whiteout devices and overlay attributes")
	f.StringVar(&o.owner, "owner", "root", "`owner` of a folder's files: root or keep")
	f.StringVar(&o.contexts, "selinux-contexts", "", "label files after the file_contexts in `FILE`")
	f.StringVar(&o.fileSystem, "filesystem", "erofs", "`format` of the file system: erofs or squashfs (needs mksquashfs)")
	f.StringVar(&o.compression, "compression", "", "`method` for files: none, lz4, lz4hc[:1-12] or zstd[:1-22] (default "+build.DefaultCompression().String()+")")
	f.StringVar(&o.minKernel, "min-kernel", "", "the oldest `Linux` that must mount the image (default "+build.DefaultKernel()+", or what --compression takes)")
	f.StringVar(&o.seed, "seed", "", "`text` that changes the salt and the identifiers")
	f.StringVarP(&o.output, "output", "o", ".", "`folder` in which the image appears")
	f.StringVar(&o.authFile, "authfile", "", "registry credentials in `FILE`, besides docker's and podman's own")
	f.BoolVar(&o.insecure, "insecure-registry", false, "allow plain HTTP and unknown certificates")
	o.signing.flags(f)
	f.BoolVar(&o.deferSigning, "defer-signature", false, "leave room for a signature and print the text to sign")
	f.StringVar(&o.file, "file", "", "build all that the list in `FILE` names (see building.md)")
	f.IntVar(&o.jobs, "jobs", 0, "with --file, build `N` images at once (default: one for each processor, if memory allows)")
	f.BoolVar(&o.noCache, "no-cache", false, "build even if the image is there and nothing has changed")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	complete(c, "kind", "sysext", "confext")
	complete(c, "arch", "amd64", "arm64", "riscv64")
	complete(c, "layers", "last", "all")
	complete(c, "owner", "root", "keep")
	complete(c, "filesystem", "erofs", "squashfs")
	complete(c, "compression", "none", "lz4", "lz4hc", "zstd")
	return c
}

// from says how to open the source.
func (o *buildOptions) from(env *Env, settings build.Options) source.Options {
	return source.Options{
		Architecture: settings.Architecture.Go,
		AuthFile:     o.authFile,
		Insecure:     o.insecure,
		DockerHost:   env.Getenv("DOCKER_HOST"),
		SpoolDir:     o.output,
		Wanted:       settings.Wanted(),
	}
}

func runBuild(ctx context.Context, env *Env, o buildOptions) error {
	settings, err := o.settings(ctx, env)
	if err != nil {
		return err
	}
	bar := env.newProgress(o.quiet || o.json || o.log != nil)
	settings.Step = bar.step
	if o.log != nil {
		settings.Step = o.log.step
	}
	from := o.from(env, settings)
	from.Progress = bar.bytes
	result, err := build.Make(ctx, from, settings)
	bar.end()
	if err != nil {
		return err
	}
	if o.log != nil {
		o.log.result(result)
		return nil
	}
	if o.json {
		return env.printJSON(result)
	}
	env.printBuild(result)
	return nil
}
