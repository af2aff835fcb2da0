package device

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// devFolder is where the system keeps its device nodes.
const devFolder = "/dev"

// node is a device node: its name below devFolder, its type (S_IFBLK or
// S_IFCHR) and its number.
type node struct {
	name   string
	kind   uint32
	number Number
}

// open opens n for reading. Usually it lies below /dev. Where a container has a
// /dev of its own it may not: then it is taken from a devtmpfs, or made on a
// tmpfs, that is mounted nowhere and goes with the descriptor. (A folder below
// /run would not do: it is mounted nodev.) The path opens the node again, from
// this process at least; where the file itself is needed, nothing beats the
// descriptor.
func (n node) open(flags int) (f *os.File, path string, err error) {
	path = devFolder + "/" + n.name
	fd, err := n.openAt(unix.AT_FDCWD, path, flags)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOtherNode) {
		for _, fsType := range []string{"devtmpfs", "tmpfs"} {
			private, again := n.openPrivate(fsType, flags)
			if again == nil {
				fd, path, err = private, fmt.Sprintf("/proc/self/fd/%d", private), nil
				break
			}
			if !errors.Is(again, fs.ErrNotExist) {
				err = fmt.Errorf("%w; %w", err, again)
			}
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("opening %q: %w", devFolder+"/"+n.name, err)
	}
	return os.NewFile(uintptr(fd), devFolder+"/"+n.name), path, nil
}

// errOtherNode says that what has the name is not the node.
var errOtherNode = errors.New("it is another device than the kernel's of that name")

// openAt opens n and makes sure that it is the device that was meant.
func (n node) openAt(dir int, path string, flags int) (int, error) {
	var stat unix.Stat_t
	// A node of another driver is not opened: that may have effects.
	if err := unix.Fstatat(dir, path, &stat, 0); err != nil {
		return -1, err
	}
	if stat.Mode&unix.S_IFMT != n.kind || NumberOf(stat.Rdev) != n.number {
		return -1, errOtherNode
	}
	fd, err := openat(dir, path, flags)
	if err != nil {
		return -1, err
	}
	if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT != n.kind || NumberOf(stat.Rdev) != n.number {
		closeFD(fd)
		return -1, errors.Join(errOtherNode, err)
	}
	return fd, nil
}

// openat is openat(2), again when a signal came between.
func openat(dir int, path string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, path, flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// openPrivate opens n in a file system of its own: a devtmpfs, which shows what
// drivers have registered, or a tmpfs, on which it is made: opening it there
// lets the kernel load a driver that has not been loaded.
func (n node) openPrivate(fsType string, flags int) (int, error) {
	mount, err := detached(fsType)
	if err != nil {
		return -1, err
	}
	defer closeFD(mount)
	name := n.name
	if fsType == "tmpfs" {
		name = strings.ReplaceAll(name, "/", "!")
		if err := unix.Mknodat(mount, name, n.kind|0o600, int(n.number.dev())); err != nil {
			return -1, fmt.Errorf("making its node: %w", err)
		}
	}
	return n.openAt(mount, name, flags)
}

// detached mounts a file system of the type without giving it a place, and
// returns the descriptor of its root.
func detached(fsType string) (int, error) {
	fd, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("mounting a private %s: %w", fsType, err)
	}
	defer closeFD(fd)
	if err := unix.FsconfigCreate(fd); err != nil {
		return -1, fmt.Errorf("mounting a private %s: %w", fsType, err)
	}
	mount, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return -1, fmt.Errorf("mounting a private %s: %w", fsType, err)
	}
	return mount, nil
}

// closeFD closes what was only looked through: that says nothing new.
func closeFD(fd int) { _ = unix.Close(fd) }
