package layer

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	// maxOutput bounds what is kept of each stream of a program, in bytes.
	maxOutput = 16 << 10
	// maxWords bounds what an error quotes.
	maxWords = 1 << 10
	// killDelay is how long children that a killed program left behind may hold
	// its output open.
	killDelay = 3 * time.Second
)

// Call is one call of a program: no shell, nothing on its standard input.
type Call struct {
	// Argv is the program, looked up in PATH, and its arguments.
	Argv []string
	// Env is all of its environment.
	Env []string
}

// Output is what a program wrote: the last 16 KiB of each stream.
type Output struct {
	Stdout, Stderr []byte
}

// Runner starts programs.
type Runner interface {
	// Run runs a program to its end. The error is exec.ErrNotFound if there is
	// none of that name, and the context's if that ended; the output is valid
	// with an error, too.
	Run(ctx context.Context, c Call) (Output, error)
}

// Command is the Runner that starts real programs. When ctx ends, the program
// and its children are killed; an interrupt from the terminal does not reach
// them, as a half-done merge helps nobody.
type Command struct{}

// Run implements Runner.
func (Command) Run(ctx context.Context, c Call) (Output, error) {
	if len(c.Argv) == 0 {
		return Output{}, errors.New("there is no program to run")
	}
	command := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	stdout, stderr := &tail{limit: maxOutput}, &tail{limit: maxOutput}
	command.Env, command.Stdout, command.Stderr = c.Env, stdout, stderr
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = killDelay
	err := command.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return Output{stdout.kept, stderr.kept}, err
}

// tail keeps the last limit bytes.
type tail struct {
	kept  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	p = p[max(0, n-t.limit):]
	t.kept = append(t.kept[max(0, min(len(t.kept), len(t.kept)+len(p)-t.limit)):], p...)
	return n, nil
}

// words makes what a program said one line that fits into an error: its last
// lines, without what could harm a terminal.
func words(said []byte) string {
	var lines []string
	length := 0
	all := strings.Split(strings.ToValidUTF8(string(said), "?"), "\n")
	for _, text := range slices.Backward(all) {
		line := strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, text))
		if length += len(line) + 2; length > maxWords {
			if len(lines) == 0 {
				lines = []string{strings.ToValidUTF8(line[:maxWords-2], "") + "…"}
			}
			break
		}
		if line != "" {
			lines = append([]string{line}, lines...)
		}
	}
	return strings.Join(lines, "; ")
}
