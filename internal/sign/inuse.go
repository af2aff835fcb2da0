package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// InUseError tells that the system works with the image as it is now: signed
// in place, it would change under a system that has read it already.
type InUseError struct {
	By string // a loop device, or what it is mounted on
}

func (e *InUseError) Error() string { return "the image is in use by " + e.By }

// system is where the kernel says what it uses.
type system struct {
	block, devices, mounts string
}

func thisSystem() system {
	return system{block: "/sys/block", devices: "/dev", mounts: "/proc/self/mountinfo"}
}

// inUse returns an *InUseError if a loop device has the file f for its own, as
// everything has that mounts a disk image (device-mapper works on top of one), or if it is
// mounted as it is. What cannot be found out without privileges, about devices
// whose file no path leads to, is passed over.
func (s system) inUse(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("this system does not tell files apart")
	}
	devices, err := os.ReadDir(s.block)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("asking which devices there are: %w", err)
	}
	for _, d := range devices {
		if !strings.HasPrefix(d.Name(), "loop") {
			continue
		}
		backing, device := filepath.Join(s.block, d.Name(), "loop", "backing_file"), filepath.Join(s.devices, d.Name())
		if _, err := os.Lstat(backing); errors.Is(err, fs.ErrNotExist) {
			continue // it has none, as most have where there are many
		}
		used, err := isBacking(backing, device, info, st)
		if err != nil {
			return fmt.Errorf("asking what %s uses: %w", device, err)
		}
		if used {
			return &InUseError{By: device}
		}
	}
	return s.mounted(info)
}

// isBacking tells whether the file is the one behind a loop device. The kernel
// knows it by its number; if we may not ask, its path has to do, as far as it leads
// anywhere: it is that of whoever set the device up.
func isBacking(backing, device string, info fs.FileInfo, st *syscall.Stat_t) (bool, error) {
	if status, err := loopStatus(device); err == nil {
		return status.Inode == st.Ino && status.Device == st.Dev, nil
	}
	text, err := os.ReadFile(backing)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) {
		return false, nil // let go in this moment
	}
	if err != nil {
		return false, err
	}
	other, err := os.Stat(strings.TrimSuffix(string(text), "\n"))
	return err == nil && os.SameFile(info, other), nil
}

func loopStatus(device string) (*unix.LoopInfo64, error) {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	status, err := unix.IoctlLoopGetStatus64(fd)
	return status, errors.Join(err, unix.Close(fd))
}

// mounted looks for a mount of the file itself, without a device between.
func (s system) mounted(info fs.FileInfo) error {
	text, err := os.ReadFile(s.mounts)
	if err != nil {
		return fmt.Errorf("asking what is mounted: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		before, after, found := strings.Cut(line, " - ")
		rest, mount := strings.Fields(after), strings.Fields(before)
		if !found || len(rest) < 2 || len(mount) < 5 || rest[0] != "erofs" || !strings.HasPrefix(rest[1], "/") {
			continue
		}
		if other, err := os.Stat(unescape(rest[1])); err == nil && os.SameFile(info, other) {
			return &InUseError{By: "the mount on " + unescape(mount[4])}
		}
	}
	return nil
}

// unescape undoes what mountinfo does to the bytes that part its fields.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}
