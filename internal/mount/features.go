package mount

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// moveMountBeneath is MOVE_MOUNT_BENEATH of <linux/mount.h>, which x/sys lacks.
const moveMountBeneath = 0x200

// Features says which calls of the kernel can be used. The zero value leaves
// mount(2) and umount2(2), which every kernel has. A feature without those that
// stand above it is allowed; what needs both looks for both.
type Features struct {
	// Trees: fsopen, fsconfig, fsmount, open_tree and move_mount (Linux 5.2).
	Trees bool
	// Setattr: mount_setattr (Linux 5.12).
	Setattr bool
	// Beneath: MOVE_MOUNT_BENEATH (Linux 6.5).
	Beneath bool
	// LowerPlus: layers of an overlay one by one, as strings (Linux 6.8).
	LowerPlus bool
	// LowerFile: layers of an overlay as file descriptors (Linux 6.13).
	LowerFile bool
	// Detached: mounts that are attached nowhere can be layers and be mounted on
	// (both Linux 6.15).
	Detached bool
}

// Detect asks the running kernel. What a container's seccomp filter or missing
// privileges refuse counts as missing, so that it is mount(2) which is refused
// in the end, with the reason.
func Detect() Features {
	var f Features
	// A descriptor that cannot be valid is looked at after the flags were.
	known := func(err error) bool { return errors.Is(err, unix.EBADF) }
	_, err := unix.OpenTree(-1, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLOEXEC)
	if !known(err) {
		return f
	}
	const here = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	if !known(unix.MoveMount(-1, "", -1, "", here)) {
		return f
	}
	tree, err := newTmpfs(TmpfsOptions{Mode: 0o700})
	if err != nil {
		return f
	}
	defer tree.Close()
	f.Trees = true
	f.Setattr = known(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}))
	f.Beneath = known(unix.MoveMount(-1, "", -1, "", here|moveMountBeneath))

	ctx, err := beginCreation("overlay")
	if err != nil {
		return f // no overlays at all: whoever wants one will be told
	}
	defer ctx.close()
	f.LowerPlus = unix.FsconfigSetString(ctx.fd, "lowerdir+", "/") == nil
	f.LowerFile = detectLowerFile()
	f.Detached = f.LowerFile && detectDetached(int(tree.Fd()))
	return f
}

// detectLowerFile asks whether a layer may be a file descriptor.
func detectLowerFile() bool {
	ctx, err := beginCreation("overlay")
	if err != nil {
		return false
	}
	defer ctx.close()
	root, err := os.Open("/")
	if err != nil {
		return false
	}
	defer root.Close()
	return unix.FsconfigSetFd(ctx.fd, "lowerdir+", int(root.Fd())) == nil
}

// detectDetached makes an overlay of two folders of tree, which is attached
// nowhere, and attaches it there.
func detectDetached(tree int) bool {
	ctx, err := beginCreation("overlay")
	if err != nil {
		return false
	}
	defer ctx.close()
	for _, name := range []string{"a", "b"} {
		if unix.Mkdirat(tree, name, 0o700) != nil {
			return false
		}
		dir, err := openAt(tree, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return false
		}
		err = unix.FsconfigSetFd(ctx.fd, "lowerdir+", int(dir.Fd()))
		dir.Close()
		if err != nil {
			return false
		}
	}
	overlay, err := ctx.mount(0)
	if err != nil {
		return false
	}
	defer overlay.Close()
	return unix.MoveMount(int(overlay.Fd()), "", tree, "a", unix.MOVE_MOUNT_F_EMPTY_PATH) == nil
}
