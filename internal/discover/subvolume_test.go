package discover_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
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

	apart(t, func() {
		if out, err := exec.CommandContext(t.Context(), mount, "-o", "loop", image, at).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
			return
		}
		subvolumes(t, btrfs, folder)
	})
}

// apart calls f where nobody else sees what it mounts. That ends with it, and so
// f must not end the test.
func apart(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { // its thread ends with it, and with that the mounts
		defer close(done)
		runtime.LockOSThread()
		if err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// TestNoSubvolume: on other file systems any folder can have the inode number of
// a subvolume.
func TestNoSubvolume(t *testing.T) {
	need.Root(t)
	path := t.TempDir()
	apart(t, func() {
		if err := unix.Mount("tmpfs", path, "tmpfs", 0, ""); err != nil {
			t.Error(err)
			return
		}
		for i := range 300 {
			if err := writeLine(path, fmt.Sprintf("etc/extensions/%d/", i)); err != nil {
				t.Error(err)
				return
			}
		}
		seen := false
		for _, c := range findIn(t, path, discover.Options{}).Candidates {
			info, err := os.Stat(filepath.Join(path, c.Path))
			if err != nil {
				t.Error(err)
				return
			}
			s, ok := info.Sys().(*syscall.Stat_t)
			seen = seen || ok && s.Ino == 256
			if c.Type != discover.Directory {
				t.Errorf("%s is a %s", c.Name, c.Type)
			}
		}
		if !seen {
			t.Error("no folder has the inode number of a subvolume")
		}
	})
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
