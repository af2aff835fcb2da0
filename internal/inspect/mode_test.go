package inspect_test

import (
	"testing"

	"inlay/internal/inspect"
)

func TestModeText(t *testing.T) {
	t.Parallel()
	for want, mode := range map[string]uint32{
		"-rw-r-----": 0o100640,
		"-rwsr-xr-x": 0o104755,
		"-rwSr-Sr-T": 0o107644,
		"-rwxr-sr-x": 0o102755,
		"drwxrwxrwt": 0o041777,
		"lrwxrwxrwx": 0o120777,
		"crw-------": 0o020600,
		"brw-rw----": 0o060660,
		"prw-------": 0o010600,
		"s---------": 0o140000,
		"?---------": 0,
	} {
		if got := inspect.ModeText(mode); got != want {
			t.Errorf("%o: got %s, want %s", mode, got, want)
		}
	}
}
