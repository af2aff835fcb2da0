package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

const (
	// runPlace is what the folder of a bundle that runs is named after, below the
	// root. Programs can be started there, which not every /tmp allows.
	runPlace = "/var/lib/inlay/bundle"
	// runProgram is what a bundle runs.
	runProgram = "run.sh"
	// runPatience is how long a program that is to end may take for it.
	runPatience = 10 * time.Second
)

// run unpacks an image to a folder of this moment and runs the program in it, with
// the names of that folder and of the bundle's target in its environment. It is run
// by its path alone: no shell reads anything.
func (s *Step) run(ctx context.Context, r ApplyRequest, p Part) (err error) {
	s.State = Ran
	if r.DryRun {
		return nil
	}
	place, err := Below(r.Root, runPlace)
	if err != nil {
		return err
	}
	at, err := place.open()
	if err != nil {
		return err
	}
	defer at.close()
	defer at.takeBack()
	if err := at.room([]Part{p}); err != nil {
		return err
	}
	staged, err := at.stage(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, staged.end()) }()
	a := &attributes{mine: r.Options.NoSameOwner}
	if s.Counts, err = staged.fill(ctx, []Part{p}, a); err != nil {
		return err
	}
	s.Notes = append(s.Notes, a.notes()...)
	name := filepath.Join(newTree, runProgram)
	info, err := staged.dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return hint.Wrap(fmt.Errorf("the image has no program /%s", runProgram),
			"put one there, or write container:// to have the image unpacked")
	}
	if err != nil {
		return err
	}
	if err := staged.dir.Chmod(name, 0o700); err != nil {
		return err
	}
	return start(ctx, r, filepath.Join(staged.path(), newTree), s.Path)
}

// start runs the program in folder, which need not be absolute, and waits for it.
func start(ctx context.Context, r ApplyRequest, folder, target string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	if target, err = filepath.Abs(target); err != nil {
		return err
	}
	c := exec.CommandContext(ctx, filepath.Join(folder, runProgram))
	c.Dir = folder
	c.Env = append(c.Environ(), "CONTAINERDIR="+folder, "BUNDLE_TARGET="+target)
	c.Stdout, c.Stderr = r.Output, r.Output
	// What it has started is to end with it.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return unix.Kill(-c.Process.Pid, unix.SIGTERM) }
	c.WaitDelay = runPatience
	err = c.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOEXEC):
		return hint.Wrap(fmt.Errorf("starting /%s: %w", runProgram, err), "let its first line name who reads it, such as #!/bin/sh")
	case errors.Is(err, fs.ErrNotExist):
		return hint.Wrap(fmt.Errorf("starting /%s: what its first line names is not on this machine: %w", runProgram, err), "name a program that is, such as #!/bin/sh")
	}
	return hint.Wrap(fmt.Errorf("running /%s: %w", runProgram, err), "what it wrote says more")
}
