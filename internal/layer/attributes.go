package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// defaultMode is that of a hierarchy which the host doesn't have.
const defaultMode fs.FileMode = 0o755

// permissions returns the mode of a hierarchy's folder, nil for none, without its
// type.
func permissions(dir *os.File) (fs.FileMode, error) {
	if dir == nil {
		return defaultMode, nil
	}
	info, err := dir.Stat()
	if err != nil {
		return 0, fmt.Errorf("looking at %q: %w", dir.Name(), err)
	}
	return info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky), nil
}

// dress gives a folder below root the attributes of the host's, if there is one.
func dress(host *os.File, root *os.Root, name string) error {
	if host == nil {
		return root.Chmod(name, defaultMode)
	}
	return copyAttributes(host, root, name)
}

func isSameFolder(a, b *os.File) (bool, error) {
	if b == nil {
		return false, nil
	}
	x, err := a.Stat()
	if err != nil {
		return false, err
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y), err
}

// copyAttributes gives a folder below a root the mode, the owner and the label of
// another one.
func copyAttributes(from *os.File, root *os.Root, name string) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &stat); err != nil {
		return fmt.Errorf("looking at %q: %w", from.Name(), err)
	}
	to, err := root.Open(name)
	if err != nil {
		return err
	}
	defer to.Close()
	fd := int(to.Fd())
	// The owner first: changing it takes the bits of setuid and setgid.
	if err := unix.Fchown(fd, int(stat.Uid), int(stat.Gid)); err != nil {
		return fmt.Errorf("giving %q the owner of %q: %w", name, from.Name(), err)
	}
	if err := unix.Fchmod(fd, stat.Mode&0o7777); err != nil {
		return fmt.Errorf("giving %q the mode of %q: %w", name, from.Name(), err)
	}
	return copyLabel(int(from.Fd()), fd)
}

const (
	label = "security.selinux"
	// maxLabel is more than a label has: a page, in the kernel's interface.
	maxLabel = 4096
)

// copyLabel copies a label, where there is one and the kernel knows labels.
func copyLabel(from, to int) error {
	text := make([]byte, maxLabel)
	length, err := unix.Fgetxattr(from, label, text)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a label: %w", err)
	}
	err = unix.Fsetxattr(to, label, text[:length], 0)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("setting a label: %w", err)
	}
	return nil
}
