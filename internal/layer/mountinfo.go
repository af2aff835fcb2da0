package layer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"inlay/internal/extension"
)

// maxMounts bounds the list of mounts, in bytes. The kernel allows a hundred
// thousand mounts in a namespace, of some 150 bytes each.
const maxMounts = 32 << 20

// mountPoints returns where the running system has something mounted that calls
// itself a merge of a kind. Where there is no /proc nothing can be told.
func mountPoints(root *os.Root, k extension.Kind) ([]string, error) {
	// The mount namespace is that of the thread, and here it can be another one than
	// the process's.
	f, err := root.Open("proc/thread-self/mountinfo")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxMounts))
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return overlaysOf(string(text), k.Name), nil
}

// overlaysOf returns the mount points of the overlays in text, which is as
// proc_pid_mountinfo(5) describes it, whose source is called source. A line that
// is not understood is left out.
func overlaysOf(text, source string) []string {
	var points []string
	for line := range strings.Lines(text) {
		before, after, found := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		fields, kind := strings.Split(before, " "), strings.Split(after, " ")
		if !found || len(fields) < 6 || len(kind) < 2 || kind[0] != "overlay" || kind[1] != source {
			continue
		}
		if point, ok := unescape(fields[4]); ok && len(points) < maxHierarchies/2 {
			points = append(points, point)
		}
	}
	return points
}

// unescape turns \040 and the like, which stand for characters that would break
// the format, back into them.
func unescape(text string) (string, bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if len(after) < 3 {
			return "", false
		}
		c, err := strconv.ParseUint(after[:3], 8, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		text = after[3:]
	}
}
