package mount

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Device is the number of a mounted file system. Overlays, like all file systems
// without a block device, have one each.
type Device struct{ Major, Minor uint32 }

// String returns "major:minor", as mountinfo has it.
func (d Device) String() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

// DeviceOf returns the number of the file system that f is on.
func DeviceOf(f *os.File) (Device, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return Device{}, fmt.Errorf("asking %q for its device: %w", f.Name(), err)
	}
	return Device{unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev))}, nil
}

// identity tells files apart.
type identity struct{ dev, ino uint64 }

func identify(fd int) (identity, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	return identityOf(&stat), err
}

func identityOf(stat *unix.Stat_t) identity { return identity{uint64(stat.Dev), stat.Ino} }

// isStacked reports whether dir is on a file system that is made of others.
func isStacked(dir *os.File) (bool, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &stat); err != nil {
		return false, fmt.Errorf("looking at the file system of %q: %w", dir.Name(), err)
	}
	kind := int64(stat.Type)
	return kind == unix.OVERLAYFS_SUPER_MAGIC || kind == unix.ECRYPTFS_SUPER_MAGIC, nil
}
