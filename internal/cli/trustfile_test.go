package cli_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"inlay/internal/cli"
)

// interrupting is a pipe that nobody writes to; who reads it is told to stop.
type interrupting struct {
	stop context.CancelFunc
	end  <-chan struct{}
}

func (i interrupting) Read([]byte) (int, error) {
	i.stop()
	<-i.end
	return 0, io.EOF
}

// TestVerifyStopsReadingStandardInput has what a signal does reach a command
// that waits for standard input.
func TestVerifyStopsReadingStandardInput(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--certificate", "--os-release"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			end := make(chan struct{})
			defer close(end)
			var stdout, stderr bytes.Buffer
			env := cli.Env{
				Stdin: interrupting{stop, end}, Stdout: &stdout, Stderr: &stderr,
				Getenv: func(string) string { return "" }, Now: time.Now, Architecture: "amd64",
			}
			done := make(chan int, 1)
			go func() {
				done <- cli.Main(ctx, []string{"inlay", "verify", "missing.raw", "--root", t.TempDir(), flag, "-"}, &env)
			}()
			select {
			case code := <-done:
				if code != 130 || !strings.Contains(stderr.String(), "interrupted") {
					t.Errorf("exit code %d: %s", code, stderr.String())
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it goes on waiting")
			}
		})
	}
}
