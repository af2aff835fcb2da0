package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"inlay/internal/build"
	"inlay/internal/extension"
)

// newAuroraboot is the command line of auroraboot, as the Kairos documents
// show it: its commands and flags, mapped onto ours, with its lines of log.
func newAuroraboot(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "auroraboot",
		Short: "Build extension images, and make keys (inlay under the name of auroraboot)",
	}
	quieten(root)
	group(root)
	for _, k := range extension.Kinds() {
		root.AddCommand(newAurorabootBuild(env, k))
	}
	root.AddCommand(newAurorabootGenkey(env), newBuildUKI(env))
	return root
}

func newAurorabootBuild(env *Env, k extension.Kind) *cobra.Command {
	o := buildOptions{kind: k.Name, owner: "root", fileSystem: string(build.EROFS), layers: "last", noCache: true}
	var debug bool
	c := &cobra.Command{
		Use:   k.Name + " NAME CONTAINER",
		Short: "Build a " + k.Name + " from the last layer of a container image",
		Long: lines(
			"Build NAME"+k.Suffix+" from the last layer of CONTAINER, an image that the",
			"daemon has or a registry serves. The same as: inlay build NAME CONTAINER --kind "+k.Name+".",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
		),
		Example: examples("as in the documents",
			"auroraboot "+k.Name+" --private-key=/keys/db.key --certificate=/keys/db.pem --output /build grype image"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef("usage: "+c.UseLine(), "missing required arguments: <name> <container>")
			}
			return arguments("NAME", "CONTAINER")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.name, o.source = args[0], args[1]
			log := &aurorabootLog{env: env, kind: k, debug: debug, path: filepath.Join(o.output, k.FileName(o.name))}
			log.begin()
			o.log = log
			return runBuild(c.Context(), env, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.signing.privateKey, "private-key", "", "sign with the PEM key in `FILE`")
	f.StringVar(&o.signing.certificate, "certificate", "", "the signer's PEM certificate in `FILE`")
	f.StringVar(&o.output, "output", ".", "`folder` in which the image appears")
	// The documents' tool always builds for amd64 unless told otherwise.
	f.StringVar(&o.arch, "arch", "amd64", "`architecture`: amd64, arm64 or riscv64")
	f.BoolVar(&debug, "debug", false, "say more")
	if !k.Configuration {
		f.BoolVar(&o.serviceReload, "service-reload", false, "make the service manager reload when the extension is merged")
		f.BoolVar(&o.serviceReload, "service-load", false, "the same as --service-reload")
		f.BoolVar(&o.withOpt, "with-opt", false, "pack /opt too")
	}
	return c
}

// aurorabootLog prints the steps as the documents show them, emoji and all:
// scripts look for these lines.
type aurorabootLog struct {
	env   *Env
	kind  extension.Kind
	debug bool
	path  string
}

func (l *aurorabootLog) begin() {
	l.print("Starting auroraboot version " + buildVersion().Version)
	l.print("🚀 Start " + l.kind.Name + " creation")
	l.print("💿 Getting image info")
}

func (l *aurorabootLog) step(s build.Step) {
	switch s {
	case build.StepRead:
		l.print("📤 Extracting archives from image layer")
	case build.StepPack:
		l.print("📦 Packing " + l.kind.Name + " into raw image")
	case build.StepDone:
		l.print("🎉 Done " + l.kind.Name + " creation output=" + l.path)
	}
}

// result tells what the documents' tool kept to itself.
func (l *aurorabootLog) result(r *build.Result) {
	l.env.warn(r.Warnings)
	if r.Signature == "unsigned" {
		l.env.warn([]string{"the image is unsigned: pass --private-key and --certificate to sign it"})
	}
	if !l.debug {
		return
	}
	l.line("DBG", "source="+r.Source.Origin)
	l.line("DBG", "root hash="+r.RootHash)
	for _, note := range r.Notes {
		l.line("DBG", note)
	}
}

func (l *aurorabootLog) print(text string) { l.line("INF", text) }

func (l *aurorabootLog) line(level, text string) {
	fmt.Fprintf(l.env.Stderr, "%s %s %s\n", l.env.Now().UTC().Format(time.RFC3339), level, printable(text))
}
