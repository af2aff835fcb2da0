// Package server runs programs that answer over HTTP for as long as a test lasts.
package server

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

const (
	startLimit = 30 * time.Second // a third of a second is usual
	interval   = 20 * time.Millisecond
)

// Up starts the program that command makes and waits until url answers 200
// through client. If it does not, the program is ended, and the end of what it
// wrote is returned for the test's own message. Otherwise it is ended with the
// test, by the end of the command's context.
func Up(t testing.TB, command func(context.Context) *exec.Cmd, client *http.Client, url string) (log string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := command(ctx)
	var written bytes.Buffer
	cmd.Stdout, cmd.Stderr = &written, &written
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() // how it ended is in what it wrote
	}()
	stop := func() {
		cancel()
		<-ended
	}
	if !answers(ctx, client, url, ended) {
		stop()
		return tail(written.String()), false
	}
	t.Cleanup(stop)
	return "", true
}

// OnSocket is a client of whoever listens at a socket of the file system. The
// host in its URLs means nothing.
func OnSocket(t testing.TB, path string) *http.Client {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func answers(ctx context.Context, client *http.Client, url string, ended <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
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
		case <-time.After(interval):
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func tail(log string) string {
	const most = 2000
	return log[max(0, len(log)-most):]
}
