//go:build machines

package machines_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"inlay/test/machine"
)

// TestHarnessFails shows that a machine which goes wrong cannot pass.
func TestHarnessFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, script, want string
		deadline           time.Duration
	}{
		{name: "kernel panic", script: "echo c >/proc/sysrq-trigger", want: "reports a fault"},
		{name: "script fails", script: "exit 3", want: `ended with "MARK done 3"`},
		{name: "deadline", script: "sleep 60", want: "deadline of 2s", deadline: 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPayload(t)
			p.run(c.script)
			m := machine.Machine{
				Root: machine.RootImage(t), Disks: []machine.Disk{p.disk()}, Deadline: c.deadline,
			}
			judge := &recorder{TB: t}
			done := make(chan struct{})
			go func() { // Fatal ends the goroutine
				defer close(done)
				machine.Run(judge, m)
			}()
			<-done
			if got := judge.failures.String(); !strings.Contains(got, c.want) {
				t.Errorf("the harness says %q, want %q", got, c.want)
			}
		})
	}
}

// recorder is a test whose failures are only written down.
type recorder struct {
	testing.TB
	failures strings.Builder
}

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.failures, format+"\n", args...) }

func (r *recorder) Error(args ...any) { fmt.Fprintln(&r.failures, args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}
