package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/disk"
	testmount "inlay/test/mount"
	"inlay/test/sample"
)

// alone runs the test that calls it once more, in a mount namespace of its own, and
// reports true there.
func alone(t *testing.T) bool {
	t.Helper()
	return testmount.Alone(t, "ext4")
}

// mounts is what this process sees mounted of a device.
func mounts(t *testing.T, d disk.Device) (at string, writable bool) {
	t.Helper()
	at, writable, err := d.MountedAt(running(t))
	if err != nil {
		t.Fatal(err)
	}
	return at, writable
}

func running(t *testing.T) *os.Root {
	t.Helper()
	root, err := os.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// TestMount uses a real file system that nobody has mounted, that somebody has
// mounted read-only, and writable.
func TestMount(t *testing.T) {
	if !alone(t) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	root := running(t)
	for _, test := range []struct {
		name    string
		mounted bool
		flags   uintptr
	}{
		{"mounted by nobody", false, 0},
		{"read-only elsewhere", true, unix.MS_RDONLY},
		{"writable elsewhere", true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "old"), []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			node := sample.Loop(t, sample.Ext4(t, "STATE", folder))
			d := disk.Device{Name: filepath.Base(node)}
			there := t.TempDir()
			if test.mounted {
				if err := unix.Mount(node, there, "ext4", test.flags, ""); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := unix.Unmount(there, 0); err != nil {
						t.Errorf("unmounting what was mounted before: %v", err)
					}
				}()
			}
			at, writable := mounts(t, d)
			m, err := disk.Mount(root, d, "ext4")
			if err != nil {
				t.Fatal(err)
			}
			if text, err := m.Root.ReadFile("old"); err != nil || string(text) != "old" {
				t.Errorf("read %q: %v", text, err)
			}
			if err := m.Root.WriteFile("new", nil, 0o644); !writable && !errors.Is(err, unix.EROFS) {
				t.Errorf("writing before it was made writable: %v", err)
			}
			if err := m.Writable(); err != nil {
				t.Fatal(err)
			}
			if err := m.Root.WriteFile("new", []byte("new"), 0o644); err != nil {
				t.Error(err)
			}
			if err := m.Root.Remove("old"); err != nil {
				t.Error(err)
			}
			if err := m.Sync(); err != nil {
				t.Error(err)
			}
			if now, _ := mounts(t, d); now != at {
				t.Errorf("mounted at %q, before it was %q", now, at)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if test.mounted {
				err := os.WriteFile(filepath.Join(there, "more"), nil, 0o644)
				if writable != (err == nil) {
					t.Errorf("writing where it was mounted before: %v", err)
				}
			}
			seen, err := disk.MountAt(root, d, "ext4", strings.TrimPrefix(filepath.Join(t.TempDir(), "a/b"), "/"))
			if err != nil {
				t.Fatal(err)
			}
			place, kept := "/"+seen.At, seen.Detach()
			defer kept.Close()
			if text, err := os.ReadFile(filepath.Join(place, "new")); err != nil || string(text) != "new" {
				t.Errorf("read %q: %v", text, err)
			}
			if _, err := kept.Stat("old"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("what was removed: %v", err)
			}
			if err := kept.WriteFile("other", nil, 0o644); !errors.Is(err, unix.EROFS) {
				t.Errorf("writing to what is to be read-only: %v", err)
			}
			var stat unix.Statfs_t
			const want = unix.ST_RDONLY | unix.ST_NODEV | unix.ST_NOSUID | unix.ST_NOEXEC
			if err := unix.Statfs(place, &stat); err != nil || stat.Flags&want != want {
				t.Errorf("flags %#x: %v", stat.Flags, err)
			}
			if err := unix.Unmount(place, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := disk.Mount(root, disk.Device{Name: "null"}, "ext4"); err == nil {
		t.Error("what is no disk was mounted")
	}
}
