// Package mount has the kernel show a file system to a test and to nobody else:
// the mount lies in a namespace of its own, and is gone with the test even if
// that is killed.
package mount

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/need"
)

// script mounts, says so, and waits for the end of its input, which comes with
// the end of the test's process at the latest.
const script = `mount -t "$1" -o "$2" "$3" "$4"
echo mounted
cat >/dev/null
umount "$4"`

// Area is where a file system lies in a file, in bytes. A Size of 0 goes to the
// end of the file.
type Area struct {
	File         string
	Offset, Size int64
}

// Show mounts the file system of that kind, read-only and over a loop device,
// and calls see with the folder under which it is seen. It fails the test at once
// if the kernel refuses to mount.
func Show(t testing.TB, kind string, a Area, see func(folder string)) {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, kind)
	folder := t.TempDir()
	options := fmt.Sprintf("ro,loop,offset=%d", a.Offset)
	if a.Size != 0 {
		options += fmt.Sprintf(",sizelimit=%d", a.Size)
	}
	holder := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "--",
		"sh", "-euc", script, "mount", kind, options, a.File, folder)
	var wrong strings.Builder
	holder.Stderr = &wrong
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ := bufio.NewReader(out).ReadString('\n')
	if said == "mounted\n" {
		// Its root folder leads into its namespace.
		see(filepath.Join("/proc", fmt.Sprint(holder.Process.Pid), "root", folder))
	}
	in.Close()
	if err := holder.Wait(); err != nil || said != "mounted\n" {
		t.Fatalf("mounting %q as %s: %v\n%s", a.File, kind, err, wrong.String())
	}
}
