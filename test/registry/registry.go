// Package registry starts Debian's docker-registry (the distribution project's
// server) on a port of this machine that nobody else reaches, over plain HTTP.
package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"inlay/test/need"
	"inlay/test/server"
)

// Start starts an empty registry and returns its host and port. It is gone
// when the test ends.
func Start(t testing.TB) (host string) {
	t.Helper()
	program := need.Tool(t, "docker-registry", "docker-registry")
	dir := t.TempDir()
	var log string
	// The server cannot choose a port and say which, so we do. Should another
	// process be quicker to take it, the server ends and the next is tried.
	for range 5 {
		host = freePort(t)
		config := filepath.Join(dir, "config.yml")
		text := fmt.Sprintf("version: 0.1\nlog: {level: warn}\nstorage:\n  filesystem: {rootdirectory: %q}\nhttp: {addr: %q}\n",
			filepath.Join(dir, "data"), host)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var ok bool
		if log, ok = server.Up(t, func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, program, "serve", config)
			// Should the test be killed, the server must not outlive it.
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			return cmd
		}, http.DefaultClient, "http://"+host+"/v2/"); ok {
			return host
		}
	}
	t.Fatalf("docker-registry does not start:\n%s", log)
	return ""
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
