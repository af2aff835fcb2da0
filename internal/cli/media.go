package cli

import "github.com/spf13/cobra"

func newMedia(env *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "media",
		Short: "Make what a machine boots from, with extensions",
		Long: lines(
			"Make unified kernel images and installation media from the root file system of a",
			"container image or a folder, and see what of it could move into an extension.",
			"",
			"Exit status: 0 done, 1 failed, 2 wrong usage, 4 not found, 130 interrupted.",
		),
		Example: examples("a signed kernel image with the whole system in it",
			"inlay media uki oci:registry.example.org/system:v3 --rootfs-as-initrd --keys keys --output out"),
	}
	group(c)
	c.AddCommand(newMediaISO(env), newMediaPlan(env), newMediaUKI(env))
	return c
}
