package discover_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/discover"
	"inlay/test/need"
)

// TestSubvolumesAsSystemd puts subvolumes of btrfs before systemd-sysext, which
// must list what we find, and when they were made.
func TestSubvolumesAsSystemd(t *testing.T) {
	need.Root(t)
	need.FileSystem(t, "btrfs")
	mkfs, btrfs, mount := need.Tool(t, "mkfs.btrfs", "btrfs-progs"), need.Tool(t, "btrfs", "btrfs-progs"), need.Tool(t, "mount", "mount")
	folder := t.TempDir()
	at := filepath.Join(folder, "subvolumes", "data")
	image := filepath.Join(t.TempDir(), "btrfs")
	command := func(argv ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", argv, err, out)
		}
	}
	if err := errors.Join(os.MkdirAll(at, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, 128<<20)); err != nil {
		t.Fatal(err)
	}
	command(mkfs, "-q", image)

	done := make(chan struct{})
	go func() { // its thread ends with it, and with that the mounts
		defer close(done)
		runtime.LockOSThread()
		if err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
			t.Error(err)
			return
		}
		if out, err := exec.CommandContext(t.Context(), mount, "-o", "loop", image, at).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
			return
		}
		subvolumes(t, btrfs, folder)
	}()
	<-done
}

func subvolumes(t *testing.T, btrfs, folder string) {
	s := witnessScene{scene: scene{
		"var/lib/extensions -> /data/ext", "etc/extensions/link -> /data/sub", "data/ext/folder/x", "data/ext/image.raw",
		"data/ext/versions.v/versions_1/", "etc/extensions/top -> /data", "etc/extensions/snapshot.sysext -> /data/snap",
	}}
	root := filepath.Join(folder, "subvolumes")
	s.write(t, root)
	for _, name := range []string{"sub", "ext/plain", "ext/suffix.sysext", "ext/versions.v/versions_2", "ext/called.raw"} {
		if out, err := exec.CommandContext(t.Context(), btrfs, "subvolume", "create", filepath.Join(root, "data", name)).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), btrfs, "subvolume", "snapshot", "-r", filepath.Join(root, "data/sub"), filepath.Join(root, "data/snap")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	answer := systemd257().ask(t, folder, map[string]witnessScene{"subvolumes": s})["subvolumes"]
	found := findIn(t, root, s.options(257))
	if diff := cmp.Diff(answer.list, found.List(s.options(257))); diff != "" || answer.failed != "" {
		t.Errorf("(-systemd +inlay):\n%s%s", diff, answer.failed)
	}
	types := map[discover.Type]int{}
	for _, c := range found.Candidates {
		types[c.Type]++
		o, err := c.Open(openRoot(t, root))
		if err != nil {
			t.Error(err)
			continue
		}
		if (o.Folder != nil) != c.Type.Folder() {
			t.Errorf("%s is opened as something else", c.Name)
		}
		o.Close()
	}
	if diff := cmp.Diff(map[discover.Type]int{discover.Subvolume: 7, discover.Directory: 1, discover.Raw: 1}, types); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
