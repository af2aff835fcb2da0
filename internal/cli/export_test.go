package cli

import (
	"github.com/spf13/cobra"

	"inlay/internal/extension"
)

// CommandNamed returns the tree of commands of the tool that inlay is called as.
func CommandNamed(program string) *cobra.Command { return commandNamed(program, System()) }

// The formatting that results share.
var (
	Printable = printable
	Size      = size
	Count     = count
)

// MergeExit is the exit code of an error of a merge, and of the same in a node's
// command.
func MergeExit(err error) (merge, now int) {
	k := extension.Sysext()
	return exitCode(layerError(k, err)), exitCode(nodeError(&cobra.Command{}, k, err))
}
