// Package need says what a test cannot do without: an outside tool, root, a
// kernel file system. Where INLAY_REQUIRE_TOOLS is set, as it is in CI, a
// missing one fails the test; on a laptop it is a skip that says what to install.
package need

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// requireVariable names the environment variable that turns every skip of
// this package into a failure.
const requireVariable = "INLAY_REQUIRE_TOOLS"

// Tool returns the path of the program name, which the Debian package pkg
// carries. Folders that only root has in its PATH are searched too.
func Tool(t testing.TB, name, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(dir + "/" + name); err == nil {
			return path
		}
	}
	missing(t, "the program %q (apt-get install %s)", name, pkg)
	return ""
}

// Root skips or fails a test that only root can run.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root: this test mounts file systems")
	}
}

// FileSystem skips or fails where the running kernel cannot mount name.
func FileSystem(t testing.TB, name string) {
	t.Helper()
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(known)), name) {
		missing(t, "a kernel with %q", name)
	}
}

func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(requireVariable) != "" {
		t.Fatalf("needs "+format, args...)
	}
	t.Skipf("needs "+format, args...)
}
