package mount_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/mount"
	"inlay/test/sample"
)

// TestShared makes a file system writable and read-only again, with the calls of each
// kernel.
func TestShared(t *testing.T) {
	if !alone(t) {
		return
	}
	node := sample.Loop(t, sample.Ext4(t, "STATE", ""))
	each(t, func(t *testing.T, m *mount.Mounter) {
		tree, err := m.Shared(node, "ext4", mount.NoSuid|mount.NoExec)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(tree.Path(), "file")
		want := func(writable bool) {
			t.Helper()
			err := os.WriteFile(file, []byte("x"), 0o644)
			if is, statErr := tree.IsWritable(); statErr != nil || is != writable || writable != (err == nil) || !writable && !errors.Is(err, unix.EROFS) {
				t.Errorf("writable %t (%v), writing: %v; want %t", is, statErr, err, writable)
			}
		}
		want(false)
		for range 2 {
			if err := tree.Writable(true); err != nil {
				t.Fatal(err)
			}
			want(true)
			var stat unix.Statfs_t
			if err := unix.Statfs(tree.Path(), &stat); err != nil || stat.Flags&unix.ST_NOEXEC == 0 || stat.Flags&unix.ST_NODEV == 0 {
				t.Errorf("flags %#x: %v", stat.Flags, err)
			}
			open, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := tree.Writable(false); !errors.Is(err, unix.EBUSY) {
				t.Errorf("while a file is open for writing: %v", err)
			}
			if err := open.Close(); err != nil {
				t.Fatal(err)
			}
			if err := tree.Writable(false); err != nil {
				t.Fatal(err)
			}
			want(false)
		}
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
		if err := tree.Writable(true); err == nil {
			t.Error("what is closed was changed")
		}
	})
	m := mount.New(mount.Options{Features: mount.Detect()})
	defer m.Close()
	if _, err := m.Shared("/dev/null", "ext4", 0); err == nil {
		t.Error("what is no disk was mounted")
	}
	if _, err := m.Shared(node, "nosuchtype", 0); err == nil {
		t.Error("a file system that no kernel has was mounted")
	}
}
