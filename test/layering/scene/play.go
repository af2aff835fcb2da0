package scene

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long a program may take.
const limit = 20 * time.Second

// Play makes a case's system in the mount namespace of the process, which is
// nobody else's, and does its steps with the program of that name in a folder.
func Play(ctx context.Context, c Case, folder string) Answer {
	a := Answer{Name: c.Name}
	root, err := set(c)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	before := tree(root, c.Look, true)
	for _, s := range c.Steps {
		seen, err := step(ctx, c, s, root, folder)
		if err != nil {
			a.Error = err.Error()
			return a
		}
		seen.Untouched = slices.Equal(before, tree(root, c.Look, true))
		a.Steps = append(a.Steps, *seen)
	}
	return a
}

// set makes the system.
func set(c Case) (root string, err error) {
	fresh := []string{"/run", Root}
	if c.Running {
		fresh = []string{"/run", "/var/lib/extensions", "/srv"}
	} else {
		root = Root
	}
	for _, at := range fresh {
		err := errors.Join(os.MkdirAll(at, 0o755), unix.Mount("tmpfs", at, "tmpfs", 0, "mode=0755"))
		if err != nil {
			return "", err
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return "", err
	}
	// As systemd does at boot, for all that is mounted from now on.
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return "", err
	}
	if err := os.MkdirAll("/run/lock", 0o755); err != nil {
		return "", err
	}
	for _, line := range c.Scene {
		if err := Do(root, line); err != nil {
			return "", fmt.Errorf("%s: %q: %w", c.Name, line, err)
		}
	}
	return root, nil
}

func step(ctx context.Context, c Case, s Step, root, folder string) (*Seen, error) {
	seen := &Seen{Done: []string{}}
	for _, line := range s.Do {
		seen.Done = append(seen.Done, errorName(Do(root, line)))
	}
	call := func(args ...string) (stdout, stderr string, exit int, err error) {
		if !c.Running {
			args = append([]string{"--root=" + root}, args...)
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		var out, log bytes.Buffer
		command := exec.CommandContext(ctx, filepath.Join(folder, c.Program), args...) //nolint:gosec // a test's own words
		command.Env = append(os.Environ(), s.Env...)
		command.Stdout, command.Stderr = &out, &log
		err = command.Run()
		if _, ok := errors.AsType[*exec.ExitError](err); ok {
			err = nil
		}
		if err != nil {
			return "", "", 0, fmt.Errorf("%q: %w", args, err)
		}
		return out.String(), log.String(), command.ProcessState.ExitCode(), nil
	}
	var err error
	if seen.Stdout, seen.Stderr, seen.Exit, err = call(s.Run...); err != nil {
		return nil, err
	}
	asked := func(verb string) (string, error) {
		stdout, stderr, exit, err := call("--json=short", verb)
		if exit != 0 {
			stdout = fmt.Sprintf("exit %d: %s", exit, stderr)
		}
		return strings.TrimSpace(stdout), err
	}
	if seen.Status, err = asked("status"); err != nil {
		return nil, err
	}
	if c.List {
		if seen.List, err = asked("list"); err != nil {
			return nil, err
		}
	}
	if seen.Mounts, err = mounts(root); err != nil {
		return nil, err
	}
	seen.Tree = tree(root, c.Look, false)
	return seen, nil
}

// errorName is the kernel's name of an error, "" for none.
func errorName(err error) string {
	if err == nil {
		return ""
	}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
