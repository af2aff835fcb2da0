package scene

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// written is when everything was written: long ago, so that what is changed later
// can be told.
func written() time.Time { return time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC) }

// Do does what a line says below root. Lines are:
//
//	PATH/               a folder
//	PATH = TEXT         a file
//	PATH -> TARGET      a link
//	fifo PATH
//	char PATH MAJOR MINOR
//	block PATH IMAGE    a node for a loop device of that image
//	image PATH IMAGE    a copy of it
//	subvolume PATH      one of btrfs
//	mode PATH 0755
//	owner PATH UID GID
//	xattr PATH NAME VALUE
//	touch PATH          it is newer than it was
//	append PATH TEXT    the same, and longer
//	remove PATH         with all that is in it
//	rename PATH PATH
//	exchange PATH PATH
//	link PATH PATH      a hard link, the old path first
//	tmpfs PATH
//	mount PATH IMAGE    the file system in it
//	bind PATH PATH      shows the first at the second
//	readonly PATH       a mount that nobody can write to any more
//	unmount PATH
//	private             mounts are seen in no other namespace from now on
//
// Folders above a path are made, too.
func Do(root, line string) error {
	if name, text, ok := strings.Cut(line, " = "); ok {
		return writeFile(filepath.Join(root, name), text)
	}
	if name, target, ok := strings.Cut(line, " -> "); ok {
		at := filepath.Join(root, name)
		return errors.Join(above(at), os.Symlink(target, at), settle(at))
	}
	words := strings.Split(line, " ")
	if len(words) == 1 && line != "private" {
		at := filepath.Join(root, line)
		return errors.Join(above(at+"/."), settle(at))
	}
	at := ""
	if len(words) > 1 {
		at = filepath.Join(root, words[1])
	}
	args := words[min(2, len(words)):]
	second := func() string { return filepath.Join(root, args[0]) }
	switch words[0] {
	case "fifo":
		return errors.Join(above(at), unix.Mkfifo(at, 0o644), settle(at))
	case "char":
		return errors.Join(above(at), node(at, unix.S_IFCHR, args))
	case "block":
		return errors.Join(above(at), block(at, args[0]))
	case "image":
		return errors.Join(above(at), copyFile(filepath.Join(Images, args[0]), at), settle(at))
	case "subvolume":
		return errors.Join(above(at), subvolume(at))
	case "mode":
		mode, err := strconv.ParseUint(args[0], 8, 32)
		return errors.Join(err, unix.Chmod(at, uint32(mode)))
	case "owner":
		uid, err := strconv.Atoi(args[0])
		gid, err2 := strconv.Atoi(args[1])
		return errors.Join(err, err2, os.Lchown(at, uid, gid))
	case "xattr":
		return unix.Lsetxattr(at, args[0], []byte(strings.Join(args[1:], " ")), 0)
	case "touch":
		later := written().Add(time.Hour)
		return os.Chtimes(at, later, later)
	case "append":
		return appendFile(at, strings.Join(args, " "))
	case "remove":
		return os.RemoveAll(at)
	case "rename":
		return os.Rename(at, second())
	case "exchange":
		return unix.Renameat2(unix.AT_FDCWD, at, unix.AT_FDCWD, second(), unix.RENAME_EXCHANGE)
	case "link":
		return os.Link(at, second())
	case "tmpfs":
		return errors.Join(above(at+"/."), unix.Mount("tmpfs", at, "tmpfs", 0, "mode=0755"))
	case "mount":
		return errors.Join(above(at+"/."), mountImage(at, args[0]))
	case "bind":
		return errors.Join(above(second()+"/."), unix.Mount(at, second(), "", unix.MS_BIND|unix.MS_REC, ""))
	case "readonly":
		return unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	case "unmount":
		return unix.Unmount(at, unix.MNT_DETACH)
	case "private":
		return unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
	}
	return fmt.Errorf("%q means nothing", line)
}

// above makes the folders above a path.
func above(path string) error {
	folder := filepath.Dir(path)
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	return errors.Join(above(folder), os.Mkdir(folder, 0o755))
}

func writeFile(at, text string) error {
	return errors.Join(above(at), os.WriteFile(at, []byte(strings.ReplaceAll(text, `\n`, "\n")), 0o644), settle(at))
}

func appendFile(at, text string) error {
	f, err := os.OpenFile(at, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// settle sets the time of a path to when everything was written.
func settle(at string) error {
	stamp := unix.NsecToTimespec(written().UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, at, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
}

func node(at string, kind uint32, args []string) error {
	major, err := strconv.ParseUint(args[0], 10, 32)
	minor, err2 := strconv.ParseUint(args[1], 10, 32)
	return errors.Join(err, err2, unix.Mknod(at, kind|0o644, int(unix.Mkdev(uint32(major), uint32(minor)))), settle(at)) //nolint:gosec // small
}

// copyFile copies a file without its holes.
func copyFile(from, to string) error {
	if out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput(); err != nil { //nolint:gosec // names of tests
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// block makes a node for a loop device of an image.
func block(at, image string) error {
	device, err := loop(filepath.Join(Images, image), true)
	if err != nil {
		return err
	}
	info, err := device.Stat()
	if err != nil {
		return err
	}
	number := info.Sys().(*syscall.Stat_t).Rdev //nolint:errcheck,forcetypeassert // of every file
	return errors.Join(unix.Mknod(at, unix.S_IFBLK|0o644, int(number)), settle(at))
}

// loop attaches an image to a loop device that stays until its last user is gone.
// The device is left open, for that.
func loop(image string, readOnly bool) (*os.File, error) {
	mode, flags := os.O_RDWR, uint32(unix.LO_FLAGS_AUTOCLEAR)
	if readOnly {
		mode, flags = os.O_RDONLY, flags|unix.LO_FLAGS_READ_ONLY
	}
	f, err := os.OpenFile(image, mode, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	// Others take free devices, too.
	for range 100 {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		device, err := os.OpenFile("/dev/loop"+strconv.Itoa(number), mode, 0)
		if err != nil {
			continue
		}
		config := unix.LoopConfig{Fd: uint32(f.Fd()), Info: unix.LoopInfo64{Flags: flags}}
		if err := unix.IoctlLoopConfigure(int(device.Fd()), &config); err == nil {
			return device, nil
		}
		device.Close()
	}
	return nil, errors.New("no loop device is free")
}

// mountImage mounts a copy of an image, which can be written to.
func mountImage(at, image string) error {
	own, err := os.MkdirTemp("/run", "mounted-")
	if err != nil {
		return err
	}
	file := filepath.Join(own, image)
	if err := copyFile(filepath.Join(Images, image), file); err != nil {
		return err
	}
	device, err := loop(file, false)
	if err != nil {
		return err
	}
	defer device.Close()
	kind, _, _ := strings.Cut(image, ".")
	return unix.Mount(device.Name(), at, kind, 0, "")
}

// subvolume makes one.
func subvolume(at string) error {
	folder, err := os.Open(filepath.Dir(at))
	if err != nil {
		return err
	}
	defer folder.Close()
	const create = 0x5000940e // BTRFS_IOC_SUBVOL_CREATE
	var args struct {
		_    int64
		name [4088]byte
	}
	copy(args.name[:], filepath.Base(at))
	if _, _, err := unix.Syscall(unix.SYS_IOCTL, folder.Fd(), create, uintptr(unsafe.Pointer(&args))); err != 0 { //nolint:gosec // the call's own struct
		return err
	}
	return nil
}
