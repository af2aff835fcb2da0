package machine

import (
	"io"
	"os"
)

// Watch reads two serial lines as a running machine's are read.
func Watch(log io.Writer, console, results *os.File) *Running {
	lines := newSerial(log)
	lines.read(console, results)
	return &Running{serial: lines, stop: lines.wait}
}

// Find is Wait with an error instead of a failed test.
func (r *Running) Find(match func(line string) bool) (string, error) { return r.serial.find(match) }
