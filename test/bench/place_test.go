//go:build bench

package bench_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// place is a file system to measure on.
type place struct {
	name   string // "memory" or "disk"
	title  string
	kind   string // of the file system
	folder string // for whatever the runs read and write
}

// memory is the best case for whoever writes much.
func memory(t *testing.T) place {
	t.Helper()
	return newPlace(t, "memory", "in memory", "/dev/shm")
}

// disk is the disk that the cache lies on, beside p.
func disk(t *testing.T, p payload) place {
	t.Helper()
	return newPlace(t, "disk", "on disk", filepath.Dir(p.folder))
}

func newPlace(t *testing.T, name, title, parent string) place {
	t.Helper()
	folder, err := os.MkdirTemp(parent, "bench-run-") //nolint:usetesting // the file system matters
	if err != nil {
		t.Fatal(err)
	}
	p := place{name, title, fileSystem(t, folder), folder}
	t.Cleanup(func() { p.remove(t) })
	return p
}

// remove makes room for the next place, before the test ends.
func (p place) remove(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(p.folder); err != nil {
		t.Error(err)
	}
}

func fileSystem(t *testing.T, folder string) string {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		t.Fatal(err)
	}
	switch s.Type {
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	}
	return "file system of an unnamed kind"
}
