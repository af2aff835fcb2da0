package daemon

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"inlay/test/debian"
)

// StartNewer is Start for Docker 26, from Debian trixie. It can load, tag and
// save images; it runs no containers.
func StartNewer(t testing.TB) (host string) {
	t.Helper()
	return startInside(t, "dockerd", "--data-root=/data/docker", "--exec-root=/run/docker", "--pidfile=/run/docker.pid",
		"--host=unix:///data/sock", "--storage-driver=vfs", "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false")
}

// StartPodman is Start for Podman 5, from Debian trixie, which answers as
// Docker does. It can load, tag and save images; it runs no containers.
func StartPodman(t testing.TB) (host string) {
	t.Helper()
	return startInside(t, "podman", "--root=/data/podman", "--runroot=/run/podman", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
		"system", "service", "--time=0", "unix:///data/sock")
}

// startInside starts an engine that listens at /data/sock of its root.
func startInside(t testing.TB, argv ...string) (host string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "inlay-engine-") //nolint:usetesting // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, dir) })
	cmd := debian.Engines(t).Command(t.Context(), t, map[string]string{dir: "/data"}, argv...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() // how it ended is in its log
	}()
	t.Cleanup(func() { end(t, cmd, ended) })
	socket := filepath.Join(dir, "sock")
	if !answers(t.Context(), socket, ended) {
		end(t, cmd, ended)
		t.Fatalf("%q does not answer:\n%s", argv, tail(log.String()))
	}
	return "unix://" + socket
}

// end kills an engine with everything in its namespaces.
func end(t testing.TB, cmd *exec.Cmd, ended <-chan struct{}) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		<-ended
		return
	}
	select {
	case <-ended:
	case <-time.After(stopLimit):
		t.Errorf("%q does not end", cmd.Args)
	}
}
