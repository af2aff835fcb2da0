package cli

import "github.com/spf13/cobra"

// newLuet is the command line of luet, as the Kairos documents show it: the one
// command for images, which is ours.
func newLuet(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "luet",
		Short: "Unpack container images (inlay under the name of luet)",
	}
	quieten(root)
	group(root)
	util := &cobra.Command{Use: "util", Short: "Handle images"}
	group(util)
	util.AddCommand(newLuetUnpack(env))
	root.AddCommand(util)
	return root
}

func newLuetUnpack(env *Env) *cobra.Command {
	o := unpackOptions{}
	var verify, local bool
	c := &cobra.Command{
		Use:   "unpack IMAGE DEST",
		Short: "Unpack a container image to a folder, such as an extension's",
		Long: lines(
			"Unpack all layers of a container image to DEST. The same as: inlay unpack IMAGE DEST.",
			"",
			"IMAGE is the name of an image, which a registry serves or the daemon has.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 no such root, 5 an image for other",
			"machines, 6 busy, 130 interrupted.",
		),
		Example: examples("as in the documents", "luet util unpack registry.example.org/kubo:0.15 /var/lib/extensions/kubo"),
		Args:    arguments("IMAGE", "DEST"),
		RunE: func(c *cobra.Command, args []string) error {
			o.image, o.dir = args[0], args[1]
			if local {
				o.image = "docker:" + o.image
			}
			return runUnpack(c.Context(), env, o)
		},
	}
	f := c.Flags()
	// Digests are always checked; signatures of images by Notary went with it.
	f.BoolVar(&verify, "verify", false, "check what is fetched, which is always done")
	f.BoolVar(&local, "local", false, "take the daemon's image")
	o.flags(c)
	return c
}
