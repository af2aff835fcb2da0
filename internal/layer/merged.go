package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
)

const (
	// maxMarker bounds a marker file, in bytes: a name has at most 255, and the
	// kernel stacks at most 500 layers.
	maxMarker = 512 * 256
	// maxHierarchies bounds how many folders are looked into.
	maxHierarchies = 256
	// looks is how often a hierarchy is looked into that somebody seems to
	// unmerge meanwhile.
	looks = 5
)

// Hierarchy is a folder with extensions merged into it.
type Hierarchy struct {
	// Path is absolute, as seen inside of the root: "/usr".
	Path string
	// Extensions are the names of what is merged, in the order of the merge,
	// lowest first; none if there is only something writable on top.
	Extensions []string
	// Since is when they were merged.
	Since time.Time
}

// Merged returns the hierarchies below root that extensions of a kind are merged
// into, by path. It looks where systemd and Kairos merge, and in more, which are
// absolute paths. A marker that was copied with the tree around it is no merge:
// a merge is a file system of its own, whose device number the marker holds.
func Merged(root *os.Root, k extension.Kind, more ...string) ([]Hierarchy, error) {
	candidates := append(known(k), more...)
	slices.Sort(candidates)
	candidates = slices.Compact(candidates)
	if len(candidates) > maxHierarchies {
		return nil, fmt.Errorf("looking for merged extensions: %d hierarchies are too many", len(candidates))
	}
	var merged []Hierarchy
	for _, name := range candidates {
		h, there, err := mergedInto(root, k, name)
		for try := 1; absent(err) && try < looks; try++ {
			h, there, err = mergedInto(root, k, name)
		}
		if err != nil {
			return nil, fmt.Errorf("looking for extensions merged into %q: %w", name, err)
		}
		if there {
			merged = append(merged, h)
		}
	}
	return merged, nil
}

// mergedInto looks into one hierarchy. It is opened once: a refresh may put another
// merge into its place meanwhile.
func mergedInto(root *os.Root, k extension.Kind, name string) (h Hierarchy, there bool, err error) {
	clean, err := rooted.Resolve(root, name)
	if absent(err) || errors.Is(err, rooted.ErrDangling) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	if is, err := root.Stat(clean); absent(err) || err == nil && !is.IsDir() {
		return h, false, nil
	}
	folder, err := root.OpenRoot(clean)
	if err != nil {
		return h, false, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	info, err := folder.Stat(".")
	if err != nil {
		return h, false, err
	}
	device, err := rooted.ReadFile(folder, path.Join(markerFolder(k), markDevice), maxMarker)
	if absent(err) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !isDevice(string(device), stat.Dev) {
		return h, false, nil
	}
	// The file is named as the folder that such extensions are linked into.
	list, err := rooted.ReadFile(folder, path.Join(markerFolder(k), path.Base(k.RunFolder)), maxMarker)
	if err != nil {
		return h, false, err
	}
	h = Hierarchy{Path: name, Since: info.ModTime()}
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			h.Extensions = append(h.Extensions, line)
		}
	}
	return h, true, nil
}

// isDevice says whether text names the device number as MAJOR:MINOR.
func isDevice(text string, device uint64) bool {
	return strings.TrimSpace(text) == fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device))
}

// absent says that a path leads nowhere.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// known are the hierarchies of systemd and those that Kairos sets instead,
// as the documents show them.
func known(k extension.Kind) []string {
	var all []string
	for _, h := range k.Mergeable {
		all = append(all, "/"+h)
		if h != "usr" {
			continue
		}
		for _, below := range []string{"bin", "include", "lib", "sbin", "share", "src"} {
			all = append(all, "/usr/"+below, "/usr/local/"+below)
		}
	}
	return all
}

// variable returns the name of systemd's variable for a kind.
func variable(k extension.Kind, what string) string {
	return "SYSTEMD_" + strings.ToUpper(k.Name) + "_" + what
}

// fromEnvironment returns the hierarchies that the environment sets, as systemd
// reads them: a list of normal, absolute paths, with colons between them.
func fromEnvironment(k extension.Kind, getenv func(string) string) ([]string, error) {
	name := variable(k, "HIERARCHIES")
	text := getenv(name)
	if text == "" {
		return nil, nil
	}
	all := strings.Split(text, ":")
	for _, h := range all {
		if !path.IsAbs(h) || path.Clean(h) != h || h == "/" {
			return nil, hint.Wrap(fmt.Errorf("%s names %q, which is no hierarchy", name, h),
				"write absolute paths without . or .. or a slash at the end, with colons between them, or unset it")
		}
	}
	return all, nil
}
