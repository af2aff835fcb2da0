package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode"

	"inlay/internal/hint"
	"inlay/internal/source"
)

// Exit codes, as the man page lists them.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitRefused      = 3
	exitNotFound     = 4
	exitIncompatible = 5
	exitBusy         = 6
	exitNewer        = 11 // as systemd-analyze compare-versions
	exitOlder        = 12
	exitInterrupted  = 130
)

// exitError gives an error the exit code that it ends the program with.
type exitError struct {
	error
	code int
}

func (e *exitError) Unwrap() error { return e.error }

// usage marks err as a mistake on the command line.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{err, exitUsage}
}

// usagef is a mistake on the command line with its advice.
func usagef(advice, format string, args ...any) error {
	return usage(hint.Wrap(fmt.Errorf(format, args...), advice))
}

// notFound marks err as being about an operand that is not there.
func notFound(err error) error { return &exitError{err, exitNotFound} }

// answer is an exit code that is itself the result: everything there is to say
// was printed, and it is no error.
type answer int

func (a answer) Error() string { return fmt.Sprintf("the answer is exit status %d", int(a)) }

// answered ends the program with code, silently.
func answered(code int) error {
	if code == exitDone {
		return nil
	}
	return answer(code)
}

// exitCode is the one place that turns errors into exit codes.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if code, ok := errors.AsType[answer](err); ok {
		return int(code)
	}
	return exitFailed
}

// errorReport is what an error looks like with --json.
type errorReport struct {
	Error string   `json:"error"`
	Hints []string `json:"hints,omitempty"`
	Code  int      `json:"exitCode"`
}

// report prints err on standard error: a line and its hints for a person or,
// with asJSON, one object for a machine.
func (env *Env) report(program string, err error, asJSON bool) {
	code := exitCode(err)
	// Errors that were joined have a line each; a report has one.
	message := strings.ReplaceAll(err.Error(), "\n", "; ")
	if code == exitInterrupted {
		message = "interrupted"
	}
	if asJSON {
		text, marshalErr := json.MarshalIndent(errorReport{message, adviceFor(err), code}, "", "  ")
		if marshalErr == nil {
			fmt.Fprintf(env.Stderr, "%s\n", text)
			return
		}
	}
	// One line, whatever a hostile name put into the message.
	fmt.Fprintf(env.Stderr, "%s: %s\n", program, printable(message))
	for _, advice := range adviceFor(err) {
		fmt.Fprintf(env.Stderr, "%s: hint: %s\n", program, printable(advice))
	}
}

// adviceFor returns the hints that err carries or, if whoever found the fault
// had none, what there is to say of any file.
func adviceFor(err error) []string {
	advice := hint.Of(err)
	if len(advice) > 0 {
		return advice
	}
	if _, ok := errors.AsType[*source.MismatchError](err); ok {
		return []string{"fetch or make the image again: its data is not what its manifest promises"}
	}
	for _, known := range []struct {
		cause  error
		advice string
	}{
		{fs.ErrNotExist, "check the spelling of the path"},
		{fs.ErrPermission, "check who may read and write it: ls -ld"},
		{syscall.ENOSPC, "free some space, or name another folder"},
		{syscall.EROFS, "name a folder on a file system that can be written"},
		{syscall.EISDIR, "name a file"},
		{syscall.ENOTDIR, "check the path: part of it is a file"},
	} {
		if errors.Is(err, known.cause) {
			return []string{known.advice}
		}
	}
	return nil
}

// printable keeps what names in images could do to a terminal off it: control
// characters, and those that turn the direction of writing.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '�'
		}
		return c
	}, text)
}
