package cli_test

import (
	"testing"

	"inlay/test/need"
)

// TestScriptsWithMediaTools runs those that make ISOs.
func TestScriptsWithMediaTools(t *testing.T) {
	t.Parallel()
	need.Tool(t, "mkfs.vfat", "dosfstools")
	need.Tool(t, "mcopy", "mtools")
	need.Tool(t, "xorriso", "xorriso")
	runScripts(t, "testdata/media")
}
