package scene

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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
//	remove PATH         with all that is in it
//	rename PATH PATH    in Root
//	tmpfs PATH
//	mount PATH IMAGE    the file system in it
//	bind PATH PATH      shows the first at the second, in Root
//	readonly PATH       a mount that nobody can write to any more
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
	for _, do := range []func(string, string, []string) (bool, error){create, change, mounting} {
		if known, err := do(words[0], at, words[min(2, len(words)):]); known {
			return err
		}
	}
	return fmt.Errorf("%q means nothing", line)
}

// create makes something that wasn't there.
func create(word, at string, args []string) (bool, error) {
	switch word {
	case "fifo":
		return true, errors.Join(above(at), unix.Mkfifo(at, 0o644), settle(at))
	case "char":
		return true, errors.Join(above(at), node(at, unix.S_IFCHR, args))
	case "block":
		return true, errors.Join(above(at), block(at, args[0]))
	case "image":
		return true, errors.Join(above(at), copyFile(filepath.Join(Images, args[0]), at), settle(at))
	case "subvolume":
		return true, errors.Join(above(at), subvolume(at))
	}
	return false, nil
}

// change changes what is there.
func change(word, at string, args []string) (bool, error) {
	switch word {
	case "mode":
		mode, err := strconv.ParseUint(args[0], 8, 32)
		return true, errors.Join(err, unix.Chmod(at, uint32(mode)))
	case "owner":
		uid, err := strconv.Atoi(args[0])
		gid, err2 := strconv.Atoi(args[1])
		return true, errors.Join(err, err2, os.Lchown(at, uid, gid))
	case "xattr":
		return true, unix.Lsetxattr(at, args[0], []byte(strings.Join(args[1:], " ")), 0)
	case "touch":
		later := written().Add(time.Hour)
		return true, os.Chtimes(at, later, later)
	case "remove":
		return true, os.RemoveAll(at)
	case "rename":
		return true, os.Rename(at, filepath.Join(Root, args[0]))
	}
	return false, nil
}

// mounting changes what is mounted.
func mounting(word, at string, args []string) (bool, error) {
	switch word {
	case "tmpfs":
		return true, errors.Join(above(at+"/."), unix.Mount("tmpfs", at, "tmpfs", 0, "mode=0755"))
	case "mount":
		return true, errors.Join(above(at+"/."), mountImage(at, args[0]))
	case "bind":
		to := filepath.Join(Root, args[0])
		return true, errors.Join(above(to+"/."), unix.Mount(at, to, "", unix.MS_BIND|unix.MS_REC, ""))
	case "readonly":
		return true, unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	case "private":
		return true, unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")
	}
	return false, nil
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
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	const block = 64 << 10
	buffer, zeros := make([]byte, block), make([]byte, block)
	for at := int64(0); ; at += block {
		n, err := io.ReadFull(in, buffer)
		if n > 0 && !bytes.Equal(buffer[:n], zeros[:n]) {
			if _, err := out.WriteAt(buffer[:n], at); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return out.Truncate(at + int64(n))
		case err != nil:
			return err
		}
	}
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
