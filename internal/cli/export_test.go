package cli

import "github.com/spf13/cobra"

// CommandNamed returns the tree of commands of the tool that inlay is called as.
func CommandNamed(program string) *cobra.Command { return commandNamed(program, System()) }

// The formatting that results share.
var (
	Printable = printable
	Size      = size
	Count     = count
)
