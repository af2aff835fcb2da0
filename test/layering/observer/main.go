// Command observer plays the cases of the differential tests of merging inside of
// a root, each in a mount namespace of its own:
//
//	observer FOLDER < CASES
//
// FOLDER has the programs that merge. CASES is a JSON value after the other; the
// answers come as such on standard output, in their order.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"inlay/test/layering/scene"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "observer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "one" {
		var c scene.Case
		if err := json.NewDecoder(os.Stdin).Decode(&c); err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(scene.Play(ctx, c, args[1]))
	}
	if len(args) != 1 {
		return fmt.Errorf("want FOLDER, not %q", args)
	}
	cases := json.NewDecoder(os.Stdin)
	for {
		var c json.RawMessage
		if err := cases.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		// Whoever merges takes the mount namespace of PID 1 for that of the system. Go
		// makes the mounts of the new one private.
		one := exec.CommandContext(ctx, "/proc/self/exe", "one", args[0])
		one.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
		one.Stdin, one.Stdout, one.Stderr = bytes.NewReader(c), os.Stdout, os.Stderr
		if err := one.Run(); err != nil {
			return fmt.Errorf("%w: %.200s", err, c)
		}
	}
}
