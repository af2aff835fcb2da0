package mount

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// isFolder reports whether f is open on a folder.
func isFolder(f *os.File) (bool, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return false, fmt.Errorf("looking at %q: %w", f.Name(), err)
	}
	return stat.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}

// sameKind refuses to mount a file on a folder, and the other way round.
func sameKind(at, root *os.File) error {
	a, err := isFolder(at)
	if err != nil {
		return err
	}
	b, err := isFolder(root)
	if err == nil && a != b {
		err = unix.ENOTDIR
	}
	return err
}

// openPath opens what is at path, a mount if there is one, without reading it or
// waking up an automounter. A link is refused.
func openPath(path string) (*os.File, error) {
	f, err := openAt(unix.AT_FDCWD, path, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	info, err := f.Stat()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		err = fmt.Errorf("opening %q: it is a link", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// reopen opens the folder that f is open on for reading, which the kernel wants
// of layers before Linux 6.15.
func reopen(f *os.File) (*os.File, error) {
	return openAt(int(f.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY)
}

// walk opens rel below root without following any link. Mounts are entered.
func walk(root *os.File, rel string) (*os.File, error) {
	if !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("opening %q: not below the mount", rel)
	}
	at := root
	for name := range strings.SplitSeq(filepath.Clean(rel), "/") {
		next, err := openAt(int(at.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW)
		if at != root {
			at.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("opening %q of a mount: %w", rel, err)
		}
		at = next
		info, err := at.Stat()
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			err = fmt.Errorf("%q is a link", name)
		}
		if err != nil {
			at.Close()
			return nil, fmt.Errorf("opening %q of a mount: %w", rel, err)
		}
	}
	return at, nil
}

// openAt opens name in the folder that at is open on.
func openAt(at int, name string, flags int) (*os.File, error) {
	for {
		fd, err := unix.Openat(at, name, flags|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EINTR) {
			continue // a file system of a server's, such as FUSE
		}
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

// mountID returns the number that mountinfo has for the mount that f is on.
func mountID(f *os.File) (int, error) {
	info, err := os.Open("/proc/self/fdinfo/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return 0, fmt.Errorf("asking for the mount of %q: %w", f.Name(), err)
	}
	defer info.Close()
	lines := bufio.NewScanner(info)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), "mnt_id:"); found {
			id, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				return 0, fmt.Errorf("asking for the mount of %q: %w", f.Name(), err)
			}
			return id, nil
		}
	}
	return 0, fmt.Errorf("asking for the mount of %q: the kernel does not say", f.Name())
}

// sameFile reports whether a and b are open on the same file.
func sameFile(a, b *os.File) (bool, error) {
	x, err := identify(int(a.Fd()))
	if err != nil {
		return false, fmt.Errorf("looking at %q: %w", a.Name(), err)
	}
	y, err := identify(int(b.Fd()))
	if err != nil {
		return false, fmt.Errorf("looking at %q: %w", b.Name(), err)
	}
	return x == y, nil
}
