package cli_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs are the names that the program answers to.
func programs() []string {
	return []string{"inlay", "auroraboot", "kairos-agent", "luet", "systemd-sysext", "systemd-confext"}
}

// cmdNamespace is "namespace": from here on the programs run in a mount namespace of
// the script's own, where they may merge, and "within" runs any other command there.
// It takes root.
func cmdNamespace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: namespace")
	}
	// It lasts as long as the script: then its standard input ends.
	c := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec cat")
	in, err := c.StdinPipe()
	ts.Check(err)
	out, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	ts.Defer(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	_, err = bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	folder := ts.MkAbs(".namespace")
	ts.Check(os.Mkdir(folder, 0o700))
	for _, name := range append(programs(), "within") {
		// A folder that was open before belongs to the other namespace.
		enter := fmt.Sprintf(`#!/bin/sh
export CD_TO="$PWD"
exec nsenter --mount=/proc/%d/ns/mnt /bin/sh -c 'cd "$CD_TO" && exec "$0" "$@"'`, c.Process.Pid)
		if name != "within" {
			enter += " '" + filepath.Join(ts.Getenv("INLAY_BIN"), name) + "'"
		}
		ts.Check(os.WriteFile(filepath.Join(folder, name), []byte(enter+" \"$@\"\n"), 0o700))
	}
	ts.Setenv("PATH", folder+string(os.PathListSeparator)+ts.Getenv("PATH"))
}
