package scene

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxText is how long a file is that is told as it is; of others it is the sum.
const maxText = 64 << 10

// tree tells what lies below root, in the order of the paths: type and mode,
// owner, path, content, and attributes. With times it tells when everything but
// folders was changed, too: beside extensions systemd makes locks that go again.
func tree(root string, look []string, times bool) []string {
	if len(look) == 0 {
		look = []string{"."}
	}
	var lines []string
	for _, at := range look {
		_ = filepath.WalkDir(filepath.Join(root, at), func(path string, _ fs.DirEntry, err error) error {
			name, relErr := filepath.Rel(root, path)
			if relErr != nil {
				return relErr
			}
			if err != nil {
				lines = append(lines, fmt.Sprintf("? %s: %s", name, errorName(err)))
				return nil
			}
			if slices.Contains(ownFolders(), name) {
				return fs.SkipDir
			}
			lines = append(lines, describe(path, name, times))
			if strings.HasSuffix(name, "-workdir") {
				return fs.SkipDir // what the kernel makes of it is its own
			}
			return nil
		})
	}
	return lines
}

// ownFolders are those that a program has for itself: they are nobody's business.
func ownFolders() []string { return []string{"run/inlay", "run/systemd"} }

func describe(path, name string, times bool) string {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Sprintf("? %s: %s", name, errorName(err))
	}
	stat := info.Sys().(*syscall.Stat_t) //nolint:errcheck,forcetypeassert // of every file
	var b strings.Builder
	kind := map[uint32]string{
		unix.S_IFREG: "file", unix.S_IFDIR: "folder", unix.S_IFLNK: "link", unix.S_IFIFO: "fifo", unix.S_IFCHR: "char", unix.S_IFBLK: "block",
	}[stat.Mode&unix.S_IFMT]
	fmt.Fprintf(&b, "%s %04o %d:%d %s", kind, stat.Mode&0o7777, stat.Uid, stat.Gid, name)
	switch kind {
	case "file":
		b.WriteString(" = " + content(path, info.Size()))
	case "link":
		target, _ := os.Readlink(path)
		b.WriteString(" -> " + target)
	case "char", "block":
		fmt.Fprintf(&b, " %d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
		if kind == "block" {
			b.Reset() // its number is another one each time
			fmt.Fprintf(&b, "block %04o %s", stat.Mode&0o7777, name)
		}
	}
	for _, attribute := range attributes(path) {
		b.WriteString(" " + attribute)
	}
	if times && kind != "folder" {
		fmt.Fprintf(&b, " @%d.%d", stat.Mtim.Sec, stat.Mtim.Nsec)
	}
	return b.String()
}

func content(path string, size int64) string {
	if size > 16<<20 {
		return fmt.Sprintf("%d bytes", size)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "! " + errorName(err)
	}
	if len(text) > maxText {
		sum := sha256.Sum256(text)
		return fmt.Sprintf("%d bytes %s", len(text), hex.EncodeToString(sum[:4]))
	}
	if filepath.Base(path) == "dev" && strings.HasPrefix(filepath.Base(filepath.Dir(path)), ".systemd-") {
		return deviceWord(path, string(text))
	}
	return strconv.Quote(string(text))
}

// deviceWord says whether the file "dev" of a marker has the number of the file
// system that it lies on.
func deviceWord(path, text string) string {
	var stat unix.Stat_t
	if err := unix.Stat(filepath.Dir(filepath.Dir(path)), &stat); err != nil {
		return "! " + errorName(err)
	}
	if fmt.Sprintf("%d:%d\n", unix.Major(stat.Dev), unix.Minor(stat.Dev)) == text {
		return "its own"
	}
	return "another " + strconv.Quote(text)
}

// attributes are those that people, and tools, set.
func attributes(path string) []string {
	buffer := make([]byte, 4096)
	n, err := unix.Llistxattr(path, buffer)
	if err != nil {
		return nil
	}
	var found []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buffer[:n]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.overlay.") || strings.HasPrefix(name, "system.") {
			continue
		}
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			continue
		}
		found = append(found, fmt.Sprintf("{%s=%q}", name, value[:n]))
	}
	slices.Sort(found)
	return found
}

// mounts tells what is mounted below the root of a system.
func mounts(root string) ([]Mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	found := []Mount{}
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		left, right := strings.Split(before, " "), strings.SplitN(after, " ", 3)
		point, below := strings.CutPrefix(unescape(left[4]), root+"/")
		if root == "" {
			// Of the running system only what is merged counts.
			point, below = strings.CutPrefix(left[4], "/")
			below = below && right[0] == "overlay" && point != ""
		}
		if !below {
			continue
		}
		found = append(found, Mount{
			Point: "/" + point, Root: unescape(left[3]), Type: right[0], Source: unescape(right[1]),
			Flags: left[5], Super: unescape(right[2]),
		})
	}
	return found, nil
}

// unescape undoes what mountinfo does to blanks and the like.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}
