package lz4_test

import (
	"bytes"
	"encoding/binary"
	"os/exec"
	"testing"

	"inlay/internal/lz4"
	"inlay/test/need"
)

// TestReference has the project's own program read what we write. It takes
// blocks in the frames of before the frame format: a magic number, then each
// block behind its length.
func TestReference(t *testing.T) {
	t.Parallel()
	program := need.Tool(t, "lz4", "lz4")
	for name, src := range inputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e lz4.Encoder
			for _, level := range []int{fast, 2, 12} {
				frame := binary.LittleEndian.AppendUint32(nil, 0x184c2102)
				for rest := src; len(rest) > 0; {
					dst := make([]byte, 8192)
					n, used := encode(&e, dst, rest, level)
					frame = append(binary.LittleEndian.AppendUint32(frame, uint32(n)), dst[:n]...)
					rest = rest[used:]
				}
				c := exec.CommandContext(t.Context(), program, "-d", "-c", "-")
				c.Stdin = bytes.NewReader(frame)
				var said bytes.Buffer
				c.Stderr = &said
				got, err := c.Output()
				if err != nil {
					t.Fatalf("level %d: %v: %s", level, err, said.String())
				}
				if !bytes.Equal(got, src) {
					t.Fatalf("level %d: read back %d bytes, not the %d that went in", level, len(got), len(src))
				}
			}
		})
	}
}
