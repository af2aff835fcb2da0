package house_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

const (
	hardLook = 250 // lines; above it a file is named
	tooLong  = 400 // lines; above it two things live in one room
)

// TestFileLength names long files and fails on too long ones. `make lint` shows
// the names. Tests may be longer.
func TestFileLength(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file := filepath.Join(p.Dir, name)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			short, err := filepath.Rel(root(t), file)
			if err != nil {
				t.Fatal(err)
			}
			switch lines := bytes.Count(text, []byte("\n")); {
			case lines > tooLong:
				t.Errorf("%s has %d lines: split it by topic, at %d at the latest", short, lines, tooLong)
			case lines > hardLook:
				t.Logf("%s has %d lines: worth a hard look above %d", short, lines, hardLook)
			}
		}
	}
}
