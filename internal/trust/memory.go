package trust

import (
	"os"

	"golang.org/x/sys/unix"

	"inlay/internal/rooted"
)

// InMemory says whether what lies at a name below root, links followed, is in the
// memory of this boot: in an initial RAM disk, or in a tmpfs. An overlay isn't,
// whatever it is made of: some of it may come from a disk.
func InMemory(root *os.Root, name string) bool {
	clean, err := rooted.Resolve(root, name)
	if err != nil {
		return false
	}
	// It may be anything, and is not to be waited for: a FIFO, say.
	f, err := root.OpenFile(clean, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &stat); err != nil {
		return false
	}
	kind := uint32(stat.Type) // signed on some machines
	return kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC
}
