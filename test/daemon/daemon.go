// Package daemon starts a Docker daemon of the test's own: its own socket, its
// own data, no network bridge and no change to the machine's firewall, so that
// it neither sees nor disturbs another one. Containers can be built and run with
// the network modes none and host.
package daemon

import (
	"bytes"
	"context"
	"net"
	"net/http"
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
)

const (
	startLimit = 30 * time.Second // a third of a second is usual
	stopLimit  = 20 * time.Second
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
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, dockerd,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--host", "unix://"+socket,
		"--bridge=none", "--iptables=false", "--ip-masq=false")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	// On this signal it ends its containers and its containerd first.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	// Should the test be killed, the daemon must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() // how it ended is in its log
	}()
	stop := func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	if !answers(ctx, socket, ended) {
		stop()
		t.Fatalf("dockerd does not answer:\n%s", tail(log.String()))
	}
	return "unix://" + socket
}

// answers waits until the daemon does.
func answers(ctx context.Context, socket string, ended <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/_ping", nil)
		if err != nil {
			return false
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
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

func tail(log string) string {
	const most = 2000
	return log[max(0, len(log)-most):]
}
