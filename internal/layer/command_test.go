package layer_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"inlay/internal/layer"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	out, err := layer.Command{}.Run(t.Context(), layer.Call{
		Argv: []string{"sh", "-c", "echo $WORD; echo $HOME; cat; pwd; echo bad >&2; exit 3"}, Env: []string{"WORD=x"},
	})
	if string(out.Stdout) != "x\n\n/\n" || string(out.Stderr) != "bad\n" {
		t.Errorf("got %q, %q", out.Stdout, out.Stderr)
	}
	if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 3 {
		t.Errorf("got %v", err)
	}
	if _, err := (layer.Command{}).Run(t.Context(), layer.Call{Argv: []string{"inlay-no-such-program"}}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := (layer.Command{}).Run(t.Context(), layer.Call{}); err == nil {
		t.Error("ran nothing")
	}
}

// TestCommandIsBounded: it keeps the end of an endless output, and a limit of
// time ends it with its children.
func TestCommandIsBounded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	out, err := layer.Command{}.Run(ctx, layer.Call{Argv: []string{"sh", "-c", "trap '' TERM INT; (sleep 60) & yes & wait"}, Env: []string{"PATH=/usr/bin:/bin"}})
	if !errors.Is(err, context.DeadlineExceeded) || len(out.Stdout) != 16<<10 {
		t.Errorf("got %d bytes, %v", len(out.Stdout), err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
	out, err = layer.Command{}.Run(t.Context(), layer.Call{Argv: []string{"sh", "-c", "seq 1 20000 >&2"}, Env: []string{"PATH=/usr/bin:/bin"}})
	if err != nil || len(out.Stderr) != 16<<10 || !strings.HasSuffix(string(out.Stderr), "19999\n20000\n") {
		t.Errorf("got %d bytes, %v", len(out.Stderr), err)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"":                         "",
		" \n\n":                    "",
		"one\n two \n\nthree":      "one; two; three",
		"\x1b[31mred\x1b[0m\xff\n": "[31mred [0m?",
	} {
		if got := layer.Words([]byte(said)); got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
	if got := layer.Words([]byte(strings.Repeat("line of words\n", 1000))); len(got) > 1024 || !strings.HasPrefix(got, "line of words; ") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
	if got := layer.Words([]byte("x\n" + strings.Repeat("y", 5000))); len(got) > 1100 || !strings.HasSuffix(got, "y…") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}
