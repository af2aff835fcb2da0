// Package cli is the face of inlay: one file per command, each with its
// options, its constructor and its run function. It turns flags into calls of
// the services and their results into text or JSON; it decides nothing else.
//
// Data goes to standard output, everything else to standard error. Only this
// package prints, and only main ends the process.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"inlay/internal/extension"
)

// Main runs the command line argv, whose first element chooses the name that
// the program goes by, and returns the exit code.
func Main(ctx context.Context, argv []string, env *Env) int {
	program := "inlay"
	if len(argv) > 0 {
		program = filepath.Base(argv[0])
		argv = argv[1:]
	}
	checked := *env
	out := &checkedWriter{w: env.Stdout}
	checked.Stdout = out
	env = &checked
	root := commandNamed(program, env)
	root.SetArgs(argv)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	command, err := root.ExecuteContextC(ctx)
	if _, silent := errors.AsType[answer](err); (err == nil || silent) && out.err != nil {
		err = fmt.Errorf("writing to standard output: %w", out.err)
	}
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if _, silent := errors.AsType[answer](err); !silent {
		env.report(root.Name(), err, wantsJSON(command, argv))
	}
	return exitCode(err)
}

// wantsJSON says whether an error goes to a program. Where the flags before
// --json are wrong, they were not read that far.
func wantsJSON(c *cobra.Command, argv []string) bool {
	if f := c.Flags().Lookup("json"); f != nil {
		if m, ok := f.Value.(*jsonMode); ok {
			return m.among(argv)
		}
	}
	asked, err := c.Flags().GetBool("json")
	return err == nil && (asked || slices.Contains(argv, "--json"))
}

// Command is inlay's whole tree of commands, for the generators of man pages
// and completions.
func Command() *cobra.Command { return newRoot(System()) }

// commandNamed returns the command line of the tool that inlay was called as.
// A name only maps flags onto the same commands.
func commandNamed(program string, env *Env) *cobra.Command {
	switch program {
	case "auroraboot":
		return newAuroraboot(env)
	case "kairos-agent":
		return newKairosAgent(env)
	case "luet":
		return newLuet(env)
	case "systemd-sysext":
		return newSystemdTool(env, extension.Sysext())
	case "systemd-confext":
		return newSystemdTool(env, extension.Confext())
	default:
		return newRoot(env)
	}
}

// checkedWriter remembers the first error of standard output, so that a full
// disk behind a redirection does not pass for success.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if c.err == nil {
		c.err = err
	}
	return n, err
}
