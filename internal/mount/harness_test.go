package mount_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/mount"
	"inlay/test/need"
)

// aloneVariable tells a test binary that it is in a namespace of its own.
const aloneVariable = "INLAY_MOUNT_ALONE"

// alone runs the test that calls it once more, in a process with a private mount
// namespace of its own, and reports true there.
func alone(t *testing.T) bool {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, "overlay")
	if os.Getenv(aloneVariable) != "" {
		forgetOthers(t)
		return true
	}
	t.Parallel()
	run(t, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}, os.Args[0])
	return false
}

// forgetOthers unmounts what other tests have mounted: it came along with the
// namespace, and would go by itself as soon as the folder beneath it is removed.
func forgetOthers(t *testing.T) {
	t.Helper()
	for _, info := range slices.Backward(must(mount.Mounts())(t)) {
		if strings.HasPrefix(info.MountPoint, os.TempDir()+"/") { //nolint:usetesting // where all tests have their folders
			ok(t, unix.Unmount(info.MountPoint, unix.MNT_DETACH))
		}
	}
}

// run runs the calling test in a process of the given attributes.
func run(t *testing.T, attr *syscall.SysProcAttr, program string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), aloneVariable+"=1")
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil || !strings.Contains(text, "--- PASS: "+t.Name()+" ") {
		t.Errorf("in a namespace of its own: %v\n%s", err, text)
	} else if testing.Verbose() {
		t.Log(text)
	}
}

// kernels are the features of kernels, each less than the one before, down to
// what every kernel has.
func kernels() []struct {
	name string
	mount.Features
} {
	return []struct {
		name string
		mount.Features
	}{
		{"6.15", mount.Features{Trees: true, Setattr: true, Beneath: true, LowerPlus: true, LowerFile: true, Detached: true}},
		{"6.8", mount.Features{Trees: true, Setattr: true, Beneath: true, LowerPlus: true}},
		{"6.5", mount.Features{Trees: true, Setattr: true, Beneath: true}},
		{"5.12", mount.Features{Trees: true, Setattr: true}},
		{"5.2", mount.Features{Trees: true}},
		{"4.15", mount.Features{}},
	}
}

// each runs fn for each kernel that the running one can stand for, with a
// Mounter that must leave no mount, file or folder behind.
func each(t *testing.T, fn func(t *testing.T, m *mount.Mounter)) {
	t.Helper()
	have := mount.Detect()
	for _, k := range kernels() {
		t.Run(k.name, func(t *testing.T) {
			if !covers(have, k.Features) {
				t.Skipf("the running kernel has %+v", have)
			}
			with(t, k.Features, fn)
		})
	}
}

// with runs fn with a Mounter of the given features.
func with(t *testing.T, f mount.Features, fn func(t *testing.T, m *mount.Mounter)) {
	t.Helper()
	staging := filepath.Join(t.TempDir(), "staging")
	before, files := snapshot(t), openFiles(t)
	m := mount.New(mount.Options{Features: f, Staging: staging})
	ok := t.Run("run", func(t *testing.T) { fn(t, m) })
	if err := m.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if !ok {
		return
	}
	if diff := cmp.Diff(before, snapshot(t)); diff != "" {
		t.Errorf("mounts left behind (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(files, openFiles(t)); diff != "" {
		t.Errorf("files left open (-before +after):\n%s", diff)
	}
	if left, _ := os.ReadDir(staging); len(left) > 0 {
		t.Errorf("left in the staging folder: %v", left)
	}
}

func covers(have, want mount.Features) bool {
	implies := func(a, b bool) bool { return a || !b }
	return implies(have.Trees, want.Trees) && implies(have.Setattr, want.Setattr) && implies(have.Beneath, want.Beneath) &&
		implies(have.LowerPlus, want.LowerPlus) && implies(have.LowerFile, want.LowerFile) && implies(have.Detached, want.Detached)
}

// snapshot returns the mounts, in an order that stays. Those of other tests are
// left out: when their folders are removed, they are gone here, too.
func snapshot(t *testing.T) []mount.Info {
	t.Helper()
	mounts, err := mount.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	test, _, _ := strings.Cut(t.Name(), "/")
	temp := filepath.Dir(filepath.Dir(t.TempDir())) + "/"
	mounts = slices.DeleteFunc(mounts, func(info mount.Info) bool {
		name, isTemp := strings.CutPrefix(info.MountPoint, temp)
		return isTemp && !strings.HasPrefix(name, test)
	})
	slices.SortFunc(mounts, func(a, b mount.Info) int { return a.ID - b.ID })
	return mounts
}

// outsideStaging returns the mounts, but for the staging place of old kernels.
func outsideStaging(t *testing.T) []mount.Info {
	t.Helper()
	return slices.DeleteFunc(snapshot(t), isStaged)
}

func isStaged(info mount.Info) bool { return strings.Contains(info.MountPoint, "/staging/") }

// openFiles returns what this process has open, but for what the runtime has.
func openFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, entry := range entries {
		to, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || strings.HasPrefix(to, "anon_inode:[event") || strings.HasPrefix(to, "pipe:") ||
			strings.HasPrefix(to, "/sys/fs/cgroup") || strings.HasPrefix(to, "/proc/") {
			continue
		}
		files = append(files, entry.Name()+" "+to)
	}
	return files
}

// folder makes a folder with files: path to content, a name ending in a slash is
// a folder.
func folder(t *testing.T, path string, files map[string]string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		to := filepath.Join(path, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// open opens a folder until the test ends.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// openAll opens folders until the test ends.
func openAll(t *testing.T, paths ...string) []*os.File {
	t.Helper()
	var files []*os.File
	for _, path := range paths {
		files = append(files, open(t, path))
	}
	return files
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// scratch returns a folder on a tmpfs of its own, which is unmounted, with all
// that is mounted on it, when the test ends.
func scratch(t *testing.T, propagation uintptr) string {
	t.Helper()
	path := t.TempDir()
	if err := unix.Mount("scratch", path, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", path, "", propagation, ""); err != nil {
		t.Fatal(err)
	}
	return path
}

// at returns the mount that is on top at path.
func at(t *testing.T, path string) mount.Info {
	t.Helper()
	info, found := mount.Covering(snapshot(t), path)
	if !found || info.MountPoint != path {
		t.Fatalf("nothing is mounted at %q, but %+v covers it", path, info)
	}
	return info
}

// ok fails the test unless err is nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must returns v, or fails the test.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// elsewhere starts a process in a mount namespace of its own, which receives
// mounts from this one as propagation says, and lasts until the test ends.
func elsewhere(t *testing.T, propagation string) int {
	t.Helper()
	unshare := need.Tool(t, "unshare", "util-linux")
	cmd := exec.CommandContext(t.Context(), unshare, "--mount", "--propagation", propagation, "sh", "-c", "echo; exec sleep 300")
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var line [1]byte
	_, err = out.Read(line[:])
	ok(t, err)
	return cmd.Process.Pid
}

// eventually waits until done reports true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 200 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("still not: %s", what)
}
