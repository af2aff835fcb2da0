package witness_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"inlay/test/need"
)

// TestKillLeavesNothing kills a build that is in the middle of its layer: the
// folder holds what it held before, be it nothing or an older image.
func TestKillLeavesNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "tree/usr/share/large"), string(bytes.Repeat([]byte("large"), 1<<20)), 0o644)
	layer := filepath.Join(folder, "layer.tar")
	command(t, nil, "tar", "-cf", layer, "-C", filepath.Join(folder, "tree"), "usr")
	whole, err := os.ReadFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []bool{false, true} {
		out := t.TempDir()
		image := filepath.Join(out, "killed.sysext.raw")
		if old {
			write(t, image, "an older image", 0o644)
		}
		pipe := filepath.Join(folder, "pipe")
		if err := os.RemoveAll(pipe); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), inlay, "build", "killed", "file:"+pipe, "--quiet", "--output", out)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		half, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := half.Write(whole[:len(whole)/2]); err != nil {
			t.Fatal(err)
		}
		// It has a nameless file open by now, or will never have one.
		waitFor(t, func() bool { return holdsDeleted(t, c.Process.Pid, out) })
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Error("the build ended well")
		}
		half.Close()
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case !old && len(entries) > 0:
			t.Errorf("a killed build leaves %v", entries)
		case old && (len(entries) != 1 || contentOf(t, image) != "an older image"):
			t.Errorf("over an older image a killed build leaves %v", entries)
		}
	}
}

// holdsDeleted says whether the process has a file without a name open in folder.
func holdsDeleted(t *testing.T, pid int, folder string) bool {
	t.Helper()
	need.FileSystem(t, "proc")
	links, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, folder+"/") && strings.HasSuffix(target, " (deleted)") {
			return true
		}
	}
	return false
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited for ten seconds in vain")
		}
	}
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
