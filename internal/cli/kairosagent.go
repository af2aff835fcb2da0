package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
)

// newKairosAgent is the command line of kairos-agent, as the Kairos documents
// show it: its commands for extensions and bundles, which are ours.
func newKairosAgent(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "kairos-agent",
		Short: "Manage a node's extensions (inlay under the name of kairos-agent)",
	}
	quieten(root)
	group(root)
	for _, k := range extension.Kinds() {
		c := newExtensions(env, k)
		for _, c := range append(c.Commands(), c) {
			c.Example = strings.ReplaceAll(c.Example, "inlay ", root.Name()+" ")
		}
		root.AddCommand(c)
	}
	root.AddCommand(newInstallBundle(env))
	return root
}
