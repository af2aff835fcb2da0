package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
	"inlay/internal/fetch"
	"inlay/internal/hint"
	"inlay/internal/node"
	"inlay/internal/source"
)

type downloadOptions struct {
	nodeOptions
	request node.DownloadRequest
	quiet   bool
}

func newDownload(env *Env, k extension.Kind) *cobra.Command {
	o := downloadOptions{}
	c := &cobra.Command{
		Use:     "download URI",
		Aliases: []string{"install"},
		Short:   "Fetch an extension into the store",
		Long: lines(
			"Fetch the image at URI into the store, verify it, and enable it for nothing. Until it is",
			"whole and let in, nobody sees it; what has its name already stays until then.",
			"",
			"URI is https:, http:, file: or oci:, with or without //. What breaks off is taken up",
			"again. An oci: reference names an artifact that is a raw image, or a container image",
			"with one in its layers.",
			"",
			"Which images are let in is the configuration's to say (policy:); without one, only those",
			"signed by a trusted key on machines that trust any, and all that are whole elsewhere.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 not there,",
			"6 busy, 130 interrupted.",
		),
		Example: examples("with its digest",
			"inlay "+k.Name+" download https://example.org/k3s"+k.Suffix+" --digest sha256:4e1243bd22c66e76c2ba9eddc1f91394e57f9f83b5ea4a2b1d7d2f1b8d4a2a5d",
			"inlay "+k.Name+" download oci:registry.example.org/k3s:1.30"),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("usage: "+c.UseLine(), "extension URI required")
			}
			return arguments("URI")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			o.request.URI = args[0]
			return runDownload(c, env, k, o)
		},
	}
	f := c.Flags()
	o.flags(c, true)
	f.StringVar(&o.request.Name, "name", "", "call the file `NAME`")
	f.StringVar(&o.request.Digest, "digest", "", "the file must have this `DIGEST`: sha256:…")
	f.BoolVar(&o.request.Checksums, "checksums", false, "the file must be in SHA256SUMS in the same folder")
	f.StringVar(&o.request.AuthFile, "authfile", "", "credentials for registries, as docker and podman write them, are in `FILE`")
	f.BoolVar(&o.request.Insecure, "insecure-registry", false, "allow plain HTTP and unknown certificates of registries")
	f.BoolVar(&o.request.AllowUntrusted, "allow-untrusted", false, "let it take the place of an image that another key signed, or that is signed where it is not")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print no progress")
	return c
}

// check holds the command line to what a download can be asked for.
func (o *downloadOptions) check() error {
	if _, err := fetch.ParseURI(o.request.URI); err != nil {
		return usage(err)
	}
	if o.request.Name != "" {
		if err := fetch.CheckName(o.request.Name); err != nil {
			return usage(err)
		}
	}
	if o.request.Digest == "" {
		return nil
	}
	_, err := source.ParseDigest(o.request.Digest)
	return usage(hint.Default(err, "write sha256: and 64 hexadecimal digits, as sha256sum prints them"))
}

func runDownload(c *cobra.Command, env *Env, k extension.Kind, o downloadOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	n, end, err := o.open(env, k, c)
	if err != nil {
		return err
	}
	defer end()
	o.request.Architecture = env.Architecture
	p := env.newProgress(o.quiet || o.json.on())
	p.what = "downloading"
	o.request.Progress = p.bytes
	v := env.newProgress(o.quiet || o.json.on())
	v.what = "verifying"
	o.request.Verifying = func(done, total int64) {
		p.end()
		v.bytes(done, total)
	}
	result, err := n.Download(c.Context(), o.request)
	p.end()
	v.end()
	if err != nil {
		return nodeError(c, k, err)
	}
	if o.json.on() {
		return env.printAs(o.json, result)
	}
	env.warn(result.Warnings)
	fmt.Fprintf(env.Stdout, "%s: %s, %s\n", printable(result.FileName), size(result.Size), printable(result.Guard))
	fmt.Fprintln(env.Stdout, result.Digest)
	return nil
}
