package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"

	"inlay/internal/hint"
)

const (
	// maxOutput bounds a signer's standard output; the longest signature that
	// is accepted takes 684 bytes in base64.
	maxOutput = 16 << 10
	// maxComplaint bounds how much of its standard error an error quotes.
	maxComplaint = 2 << 10
	// killDelay is how long a cancelled program has to end by itself, and how
	// long children that it left behind may hold its output open.
	killDelay = 3 * time.Second
)

// Command is the Runner that starts real programs: no shell, no arguments, the
// environment and the terminal of this process (a program may ask for a PIN on
// /dev/tty, which is why it stays in the foreground process group). When ctx
// ends the program gets SIGTERM, and SIGKILL three seconds later.
type Command struct{}

// Run runs program. A program that fails is quoted with the end of what it
// wrote to its standard error, as one line without control characters.
func (Command) Run(ctx context.Context, program string, input []byte) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin = bytes.NewReader(input)
	stdout := &bounded{limit: maxOutput}
	stderr := &tail{limit: maxComplaint}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killDelay

	err := cmd.Run()
	switch {
	case stdout.full:
		return nil, fmt.Errorf("it wrote more than %d KiB: a signature is shorter", maxOutput>>10)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		if said := stderr.line(); said != "" {
			return nil, fmt.Errorf("running it: %w: %s", err, said)
		}
		return nil, fmt.Errorf("running it: %w", err)
	}
	return stdout.kept, nil
}

// lookUp finds a program by its path or in PATH.
func lookUp(program string) (string, error) {
	if program == "" {
		return "", hint.Wrap(errors.New("the external signer has no program"), "write --signer exec:PROGRAM")
	}
	path, err := exec.LookPath(program)
	if err != nil {
		if e, ok := errors.AsType[*exec.Error](err); ok {
			err = e.Err
		}
		return "", hint.Wrap(fmt.Errorf("looking for signer %q: %w", program, bare(err)),
			"give the path of an executable file; it gets no arguments, so put those in a script")
	}
	return path, nil
}

// errFull stops a program that writes too much.
var errFull = errors.New("too much output")

// bounded keeps at most limit bytes and refuses more. The buffer is not
// embedded: its ReadFrom would let io.Copy go round the limit.
type bounded struct {
	kept  []byte
	limit int
	full  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.kept)+len(p) > b.limit {
		b.full = true
		return 0, errFull
	}
	b.kept = append(b.kept, p...)
	return len(p), nil
}

// tail keeps the last limit bytes.
type tail struct {
	kept  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-t.limit):]
	return len(p), nil
}

// line returns what was kept as one line that is safe on a terminal.
func (t *tail) line() string {
	var lines []string
	for text := range strings.Lines(strings.ToValidUTF8(string(t.kept), "")) {
		text = strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, text))
		if text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "; ")
}
