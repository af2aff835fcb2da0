package bundle

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

// privileged are the bits of a mode by which a program gets the rights of its
// file's owner or group.
const privileged = 0o6000

// attributes give files what the image says of them.
type attributes struct {
	// mine gives all files to who unpacks them, without what only root may set.
	mine bool

	modes, xattrs, devices int // what was left out for that
}

// set gives the file base in folder, called name in the tree, the attributes of
// ino. It follows no link. What lies below a folder must be there already.
func (a *attributes) set(folder *os.File, base, name string, ino *tree.Inode) error {
	at := int(folder.Fd())
	if err := a.owner(at, base, ino); err != nil {
		return fmt.Errorf("setting the owner of %q to %d:%d: %w", "/"+name, ino.UID, ino.GID, asRoot(err))
	}
	// Before the mode, which may forbid it even to the owner.
	if err := a.extended(folder, base, ino); err != nil {
		return fmt.Errorf("setting attributes of %q: %w", "/"+name, err)
	}
	if ino.Kind() != tree.Symlink {
		mode := ino.Mode & 0o7777
		if a.mine && mode&privileged != 0 && ino.Kind() != tree.Directory {
			mode &^= privileged
			a.modes++
		}
		if err := unix.Fchmodat(at, base, mode, 0); err != nil {
			return fmt.Errorf("setting the mode of %q: %w", "/"+name, err)
		}
	}
	if ino.Implied {
		return nil // nobody has said when it was made
	}
	when := unix.Timespec{Sec: ino.Sec, Nsec: int64(ino.Nsec)}
	if err := unix.UtimesNanoAt(at, base, []unix.Timespec{when, when}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("setting the time of %q: %w", "/"+name, err)
	}
	return nil
}

func (a *attributes) owner(at int, base string, ino *tree.Inode) error {
	if a.mine || ino.Implied {
		return nil
	}
	return unix.Fchownat(at, base, int(ino.UID), int(ino.GID), unix.AT_SYMLINK_NOFOLLOW)
}

// extended goes through /proc: the calls know no descriptors of folders.
func (a *attributes) extended(folder *os.File, base string, ino *tree.Inode) error {
	for _, x := range ino.Xattrs {
		if slices.Contains(recordNames(), x.Name) {
			continue // only we say what a folder was unpacked from
		}
		if a.mine && !strings.HasPrefix(x.Name, "user.") {
			a.xattrs++
			continue
		}
		err := unix.Lsetxattr(fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), base), x.Name, x.Value, 0)
		switch {
		case err == nil:
		case errors.Is(err, unix.EOPNOTSUPP):
			return hint.Wrap(fmt.Errorf("setting %q: %w", x.Name, err), "the file system there does not take it: name a folder on another one")
		default:
			return fmt.Errorf("setting %q: %w", x.Name, asRoot(err))
		}
	}
	return nil
}

// asRoot adds what to do to an error of who is not root.
func asRoot(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	return hint.Wrap(err, "run it as root, or pass --no-same-owner to own all files yourself and leave out what only root can make")
}

// notes say what was left out.
func (a *attributes) notes() []string {
	var notes []string
	for _, left := range []struct {
		n    int
		text string
	}{
		{a.modes, "the set-user-ID and set-group-ID bits of %d files"},
		{a.xattrs, "%d extended attributes that only root may set, such as file capabilities"},
		{a.devices, "%d device nodes"},
	} {
		if left.n > 0 {
			notes = append(notes, "left out, as only root can make them: "+fmt.Sprintf(left.text, left.n))
		}
	}
	return notes
}
