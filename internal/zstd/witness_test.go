package zstd_test

import (
	"bytes"
	"os/exec"
	"testing"

	"inlay/internal/zstd"
	"inlay/test/need"
)

// TestReference has the project's own program read what we write.
func TestReference(t *testing.T) {
	t.Parallel()
	program := need.Tool(t, "zstd", "zstd")
	for name, src := range inputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e zstd.Encoder
			var frames []byte // one behind the other are a stream
			for rest := src; len(rest) > 0; {
				dst := make([]byte, 20000)
				n, used := e.Fill(dst, rest)
				frames = append(frames, dst[:n]...)
				rest = rest[used:]
			}
			c := exec.CommandContext(t.Context(), program, "-d", "-c", "-q")
			c.Stdin = bytes.NewReader(frames)
			var said bytes.Buffer
			c.Stderr = &said
			got, err := c.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, said.String())
			}
			if !bytes.Equal(got, src) {
				t.Fatalf("read back %d bytes, not the %d that went in", len(got), len(src))
			}
		})
	}
}
