package debian

import (
	"context"
	_ "embed" // enter.sh
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inlay/test/need"
)

// Names inside a cached root's folder.
const (
	rootFolder  = "root"  // the root itself
	mountFolder = "mount" // where enter.sh stacks its mounts
)

// enter makes the namespace of one command and starts it.
//
//go:embed enter.sh
var enter string

// killDelay is how long a cancelled command may hold its pipes open.
const killDelay = 5 * time.Second

// Root is a Debian root folder.
type Root struct {
	folder string
}

// Folder returns the path of the root folder on the host: for reading only, as
// all tests share it.
func (r *Root) Folder() string { return filepath.Join(r.folder, rootFolder) }

// Command returns a command that runs argv inside the root, in mount, process
// and IPC namespaces of its own, in the working folder "/". It sees the host's
// /dev and /sys, a /proc of its own, empty /run and /tmp, and what binds names:
// a file or folder of the host → where it appears inside ("" for the same
// path), writable. All else that it writes is gone when it ends. The root is a
// mount point with shared propagation, which systemd's tools insist on.
//
// The environment is a fixed, small one, in Env for the caller to append to.
// When ctx ends, or the test's process, all processes of the command are killed.
func (r *Root) Command(ctx context.Context, t testing.TB, binds map[string]string, argv ...string) *exec.Cmd {
	t.Helper()
	need.Root(t)
	args := []string{
		"--pdeathsig", "KILL", "--",
		"unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation", "private", "--",
		"sh", "-euc", enter, "enter.sh", r.Folder(), filepath.Join(r.folder, mountFolder),
	}
	for _, b := range sortedBinds(t, binds) {
		args = append(args, b.source, b.target)
	}
	args = append(args, "--")
	command := exec.CommandContext(ctx, "setpriv", append(args, argv...)...)
	command.WaitDelay = killDelay
	command.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb",
		"SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "SYSTEMD_LOG_TARGET=console",
	}
	return command
}

// Run runs a command as [Root.Command] does, fails the test if it fails, and
// returns its standard output.
func (r *Root) Run(t testing.TB, binds map[string]string, argv ...string) string {
	t.Helper()
	var stderr strings.Builder
	command := r.Command(t.Context(), t, binds, argv...)
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", argv, err, stdout, stderr.String())
	}
	return string(stdout)
}

type bind struct{ source, target string }

// sortedBinds orders by target, so that a bind below another comes after it.
func sortedBinds(t testing.TB, binds map[string]string) []bind {
	t.Helper()
	var sorted []bind
	for _, source := range slices.Sorted(maps.Keys(binds)) {
		path, err := filepath.Abs(source)
		if err != nil {
			t.Fatal(fmt.Errorf("binding %q: %w", source, err))
		}
		target := binds[source]
		if target == "" {
			target = path
		}
		if !filepath.IsAbs(target) {
			t.Fatalf("binding %q: the target %q is not absolute", source, target)
		}
		sorted = append(sorted, bind{path, filepath.Clean(target)})
	}
	slices.SortFunc(sorted, func(a, b bind) int { return strings.Compare(a.target, b.target) })
	return sorted
}
