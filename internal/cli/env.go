package cli

import (
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"
)

// Env is what a command touches outside its arguments, so that a test can
// put its own there.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Getenv returns a variable of the environment, or "".
	Getenv func(string) string
	// Now tells the time of day.
	Now func() time.Time
	// Terminal says that Stderr is one, and so may show a moving bar.
	Terminal bool
	// Architecture is Go's name of this machine's.
	Architecture string
	// Program names the running program, another text for any other; "" if that
	// isn't known.
	Program func() string
	// User is the number of the one who runs the command: besides root's, only
	// his files configure it.
	User int
}

// System is the environment of a real process.
func System() *Env {
	return &Env{
		Stdin:        os.Stdin,
		Stdout:       os.Stdout,
		Stderr:       os.Stderr,
		Getenv:       os.Getenv,
		Now:          time.Now,
		Terminal:     term.IsTerminal(int(os.Stderr.Fd())),
		Architecture: runtime.GOARCH,
		Program:      programIdentity,
		User:         os.Geteuid(),
	}
}
