package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/mount"
	"inlay/internal/rooted"
)

// The files of a marker folder, but for the list of extensions.
const (
	markDevice  = "dev"      // the number of the overlay
	markBacking = "backing"  // that of the block device behind the host's folder
	markWork    = "work_dir" // the work folder of a layer that keeps what is written
	markOrigin  = "origin"   // what was merged, and how
)

// maxOrigin bounds a marker file, in bytes: the origin has some 300 for each of 500
// extensions, and their paths.
const maxOrigin = 4 << 20

// markerFolder is the folder by which systemd, and we, know a merge.
func markerFolder(k extension.Kind) string { return ".systemd-" + k.Name }

// mark is what a marker folder tells about one hierarchy.
type mark struct {
	extensions []string
	device     mount.Device // set last: it is known once there is an overlay
	backing    mount.Device // zero for none
	workDir    string       // below the root; "" for none
	origin     []byte
}

// write writes everything but the device's number, which makes it a marker.
func (m *mark) write(root *os.Root, k extension.Kind) error {
	folder := markerFolder(k)
	if err := root.Mkdir(folder, 0o755); err != nil {
		return fmt.Errorf("making the marker folder: %w", err)
	}
	list := ""
	if len(m.extensions) > 0 {
		list = strings.Join(m.extensions, "\n") + "\n"
	}
	files := map[string]string{path.Base(k.RunFolder): list, markOrigin: string(m.origin)}
	if m.backing != (mount.Device{}) {
		files[markBacking] = m.backing.String() + "\n"
	}
	if m.workDir != "" {
		files[markWork] = escape(m.workDir) + "\n"
	}
	for name, text := range files {
		if err := root.WriteFile(path.Join(folder, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the marker: %w", err)
		}
	}
	return nil
}

// seal writes the device's number, and sets the time of the merge.
func (m *mark) seal(root *os.Root, k extension.Kind, now time.Time) error {
	name := path.Join(markerFolder(k), markDevice)
	if err := root.WriteFile(name, []byte(m.device.String()+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the marker: %w", err)
	}
	// That of the hierarchy's folder is what a status shows.
	if err := root.Chtimes(".", now, now); err != nil {
		return fmt.Errorf("setting the time of the merge: %w", err)
	}
	return nil
}

// readMark reads a file of the marker of a hierarchy, nil if it is not there.
func readMark(root *os.Root, place string, k extension.Kind, name string) ([]byte, error) {
	text, err := rooted.ReadFile(root, path.Join(place, markerFolder(k), name), maxOrigin)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the marker of %q: %w", "/"+place, err)
	}
	return text, nil
}

// workOf returns the work folder that a merged hierarchy names, "" for none. It is
// removed with everything in it, so that only a folder called as such ones are is
// believed to be one.
func workOf(root *os.Root, place string, k extension.Kind) (string, error) {
	text, err := readMark(root, place, k, markWork)
	if err != nil || text == nil {
		return "", err
	}
	name, err := unescapeC(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return "", fmt.Errorf("reading the work folder of %q: %w", "/"+place, err)
	}
	if name = path.Clean(strings.TrimPrefix(name, "/")); !isWork(name) {
		return "", fmt.Errorf("%q names %q as its work folder, which is none", "/"+place, name)
	}
	return name, nil
}

// isWork says whether a path below the root can be a work folder.
func isWork(name string) bool {
	base := path.Base(name)
	return fs.ValidPath(name) && strings.HasPrefix(base, ".systemd-") && strings.HasSuffix(base, "-workdir")
}

func isText(text []byte, want string) bool { return strings.TrimSpace(string(text)) == want }

// backingOf returns the number of the block device that a folder is on, zero where
// it is on none.
func backingOf(dir *os.File) (mount.Device, error) {
	dev, err := mount.DeviceOf(dir)
	if err != nil || dev.Major != 0 {
		return dev, err
	}
	// Numbers with the major 0 are of file systems without a device, and of btrfs,
	// which has a number for each subvolume.
	info, err := mount.InfoOf(dir)
	if err != nil || info.Type != "btrfs" {
		return mount.Device{}, nil //nolint:nilerr // what cannot be seen from here is left out
	}
	var stat unix.Stat_t
	if err := unix.Stat(info.Source, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFBLK {
		return mount.Device{}, nil //nolint:nilerr // as above
	}
	return mount.Device{Major: unix.Major(stat.Rdev), Minor: unix.Minor(stat.Rdev)}, nil
}

// escape writes a path as a C string literal has it, as systemd does.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\\' || c == '"' || c == '\'':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

var errEscape = errors.New("half an escape sequence")

// unescapeC undoes escape, and what else systemd writes of control characters.
func unescapeC(text string) (string, error) {
	const short = "a\ab\bf\fn\nr\rt\tv\v\\\\\"\"''"
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		if after == "" {
			return "", errEscape
		}
		if at := strings.IndexByte(short, after[0]); at >= 0 && at%2 == 0 {
			b.WriteByte(short[at+1])
			text = after[1:]
			continue
		}
		if len(after) < 3 {
			return "", errEscape
		}
		c := 0
		for _, digit := range after[:3] {
			if digit < '0' || digit > '7' {
				return "", fmt.Errorf("an unknown escape sequence: %q", after[:3])
			}
			c = c*8 + int(digit-'0')
		}
		if c == 0 || c > 0xff {
			return "", fmt.Errorf("an escape sequence for no byte: %q", after[:3])
		}
		b.WriteByte(byte(c))
		text = after[3:]
	}
}
