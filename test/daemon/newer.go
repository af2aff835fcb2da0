package daemon

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"inlay/test/debian"
	"inlay/test/server"
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
	root := debian.Engines(t)
	socket := filepath.Join(dir, "sock")
	log, ok := server.Up(t, func(ctx context.Context) *exec.Cmd {
		return root.Command(ctx, t, map[string]string{dir: "/data"}, argv...)
	}, server.OnSocket(t, socket), ping)
	if !ok {
		t.Fatalf("%q does not answer:\n%s", argv, log)
	}
	return "unix://" + socket
}
