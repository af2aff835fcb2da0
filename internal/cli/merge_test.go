package cli_test

import (
	"errors"
	"fmt"
	"testing"

	"inlay/internal/cli"
	"inlay/internal/layer"
)

// TestMergeExit: what a merge ends with, a script can tell apart.
func TestMergeExit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err        error
		merge, now int
	}{
		"another merge":   {layer.ErrBusy, 6, 6},
		"another content": {fmt.Errorf("%w: more", layer.ErrDiffers), 3, 3},
		"an open mode":    {&layer.RefusedError{Reason: "the mode"}, 3, 3},
		"merged already":  {&layer.MergedError{Path: "/usr"}, 1, 1},
		"no tool":         {layer.ErrNoTool, 1, 1},
		"anything else":   {errors.New("no space"), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fmt.Errorf("merging: %w", c.err)
			if merge, now := cli.MergeExit(err); merge != c.merge || now != c.now {
				t.Errorf("exit codes %d and %d, want %d and %d", merge, now, c.merge, c.now)
			}
		})
	}
}
