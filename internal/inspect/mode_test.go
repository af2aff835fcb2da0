package inspect_test

import (
	"io/fs"
	"testing"

	"inlay/internal/inspect"
)

func TestModeText(t *testing.T) {
	t.Parallel()
	for want, mode := range map[string]fs.FileMode{
		"-rw-r-----": 0o640,
		"-rwsr-xr-x": 0o755 | fs.ModeSetuid,
		"-rwSr-Sr-T": 0o644 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky,
		"-rwxr-sr-x": 0o755 | fs.ModeSetgid,
		"drwxrwxrwt": 0o777 | fs.ModeDir | fs.ModeSticky,
		"lrwxrwxrwx": 0o777 | fs.ModeSymlink,
		"crw-------": 0o600 | fs.ModeDevice | fs.ModeCharDevice,
		"brw-rw----": 0o660 | fs.ModeDevice,
		"prw-------": 0o600 | fs.ModeNamedPipe,
		"s---------": fs.ModeSocket,
		"?---------": fs.ModeIrregular,
	} {
		if got := inspect.ModeText(mode); got != want {
			t.Errorf("%v: got %s, want %s", mode, got, want)
		}
	}
}
