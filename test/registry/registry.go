// Package registry starts Debian's docker-registry (the distribution project's
// server) on a port of this machine that nobody else reaches, over plain HTTP.
package registry

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"inlay/test/need"
)

// startLimit is generous: a hundredth of a second is usual.
const startLimit = 30 * time.Second

// Start starts an empty registry and returns its host and port. It is gone
// when the test ends.
func Start(t testing.TB) (host string) {
	t.Helper()
	program := need.Tool(t, "docker-registry", "docker-registry")
	dir := t.TempDir()
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
		if serve(t, program, config, host) {
			return host
		}
	}
	t.Fatal("docker-registry does not start")
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

// serve starts the server and tells whether it answers.
func serve(t testing.TB, program, config, host string) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "serve", config)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	// Should the test be killed, the server must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
	if !answers(ctx, host, ended) {
		stop()
		t.Logf("docker-registry:\n%s", log.String())
		return false
	}
	t.Cleanup(stop)
	return true
}

func answers(ctx context.Context, host string, ended <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/v2/", nil)
		if err != nil {
			return false
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
