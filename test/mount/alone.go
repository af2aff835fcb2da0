package mount

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"inlay/test/need"
)

// aloneVariable tells a test binary that it is in a namespace of its own.
const aloneVariable = "INLAY_TEST_ALONE"

// Alone runs the test that calls it once more, in a process with a private mount
// namespace of its own, and reports true there. The kernel must know the file
// system.
func Alone(t *testing.T, fileSystem string) bool {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, fileSystem)
	if os.Getenv(aloneVariable) != "" {
		return true
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), aloneVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || !strings.Contains(text, "--- PASS: "+t.Name()+" ") {
		t.Errorf("in a namespace of its own: %v\n%s", err, text)
	} else if testing.Verbose() {
		t.Log(text)
	}
	return false
}
