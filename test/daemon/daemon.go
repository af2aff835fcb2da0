// Package daemon starts a Docker daemon of the test's own: its own socket, its
// own data, no network bridge and no change to the machine's firewall, so that
// it neither sees nor disturbs another one. Containers can be built and run with
// the network modes none and host.
package daemon

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/test/need"
	"inlay/test/server"
)

const (
	stopLimit = 20 * time.Second
	ping      = "http://engine/_ping" // what every engine answers when it is up
)

// Start starts dockerd and returns the value for DOCKER_HOST. The daemon and
// all it has stored are gone when the test ends.
func Start(t testing.TB) (host string) {
	t.Helper()
	need.Root(t)
	dockerd := need.Tool(t, "dockerd", "docker.io")
	dir, err := os.MkdirTemp("", "inlay-dockerd-") //nolint:usetesting // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, dir) })
	socket := filepath.Join(dir, "sock")
	log, ok := server.Up(t, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, dockerd,
			"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
			"--pidfile", filepath.Join(dir, "pid"), "--host", "unix://"+socket,
			"--bridge=none", "--iptables=false", "--ip-masq=false")
		// On this signal it ends its containers and its containerd first.
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = stopLimit
		// Should the test be killed, the daemon must not outlive it.
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		return cmd
	}, server.OnSocket(t, socket), ping)
	if !ok {
		t.Fatalf("dockerd does not answer:\n%s", log)
	}
	return "unix://" + socket
}

// remove deletes dir and takes away what is still mounted below it.
func remove(t testing.TB, dir string) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	var below []string
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			below = append(below, fields[1])
		}
	}
	for _, path := range slices.Backward(below) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %q: %v", path, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}
