package cli

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/config"
)

// newInstallBundle is "kairos-agent install-bundle": one bundle, without a
// configuration.
func newInstallBundle(env *Env) *cobra.Command {
	o := bundleOptions{}
	b := config.Bundle{Origin: "the command line"}
	c := &cobra.Command{
		Use:   "install-bundle TARGET",
		Short: "Unpack or run one bundle",
		Long: lines(
			"Unpack or run one bundle: container://IMAGE, docker://IMAGE or run://IMAGE. The same as",
			"inlay bundle apply with a configuration that holds only this.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 5 an image for other machines, 6 busy,",
			"130 interrupted.",
		),
		Example: examples("an extension", "kairos-agent install-bundle --root-path /var/lib/extensions/kubo container://registry.example.org/kubo:0.15"),
		Args:    arguments("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			target := args[0]
			var err error
			if b.RootFS, err = filepath.Abs(b.RootFS); err != nil {
				return err
			}
			if scheme, path, found := strings.Cut(target, "://"); found && b.LocalFile && path != "" && !strings.Contains(path, "://") {
				if path, err = filepath.Abs(path); err != nil {
					return err
				}
				target = scheme + "://" + path
			}
			b.Targets = []string{target}
			root, err := openRoot("/")
			if err != nil {
				return err
			}
			defer root.Close()
			return env.applyBundles(c.Context(), o, root, []config.Bundle{b}, true)
		},
	}
	f := c.Flags()
	// Only package bundles come from repositories.
	f.StringVar(&b.Repository, "repository", "docker://quay.io/kairos/packages", "`repository` of package bundles, which luet alone can install")
	f.StringVar(&b.RootFS, "root-path", "/", "unpack it to `DIR`, or have its program work there")
	f.BoolVar(&b.LocalFile, "local-file", false, "TARGET names the archive of an image, in a file")
	o.flags(c)
	return c
}
