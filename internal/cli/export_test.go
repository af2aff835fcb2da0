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

// Held is a configuration of the disk as far as it counts on a trusted boot.
var Held = held

// MergeExit is the exit code of an error of a merge, and of the same in a node's
// command.
func MergeExit(err error) (merge, now int) {
	k := extension.Sysext()
	return exitCode(layerError(k, err)), exitCode(nodeError(&cobra.Command{}, k, err))
}
