package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
	"inlay/internal/rooted"
)

// maxMarker bounds a file of a marker, in bytes.
const maxMarker = 4 << 20

// mergedAt says when the machine merged what lies in a place, by what every merge
// leaves in the merged folders; never is the zero time.
func mergedAt(machine *os.Root, p *Place) time.Time {
	if machine == nil {
		return time.Time{}
	}
	base := realPath(machine.Name())
	mounts, err := mount.Mounts()
	if err != nil {
		mounts = nil // the usual folders have to do
	}
	var latest time.Time
	for _, k := range extension.Kinds() {
		hierarchies := slices.Clone(k.Mergeable)
		for _, m := range mounts {
			// Who merges chooses where: the documents of Kairos have many folders.
			if m.Type == "overlay" && m.Source == k.Name && inside(m.MountPoint, base) {
				hierarchies = append(hierarchies, strings.TrimPrefix(m.MountPoint, base))
			}
		}
		for _, hierarchy := range hierarchies {
			marker := path.Join("/", hierarchy, ".systemd-"+k.Name)
			if when := markedAt(machine, path.Join(marker, path.Base(k.RunFolder))); when.After(latest) && p.isMarked(machine, base, k, marker) {
				latest = when
			}
		}
	}
	return latest
}

// isMarked says whether a marker is of a merge of what lies in the place: by its
// name, or by its path, which systemd 260 and later note. Links have other names.
func (p *Place) isMarked(machine *os.Root, base string, k extension.Kind, marker string) bool {
	list, err := rooted.ReadFile(machine, path.Join(marker, path.Base(k.RunFolder)), maxMarker)
	if err != nil {
		return false
	}
	names := strings.Split(string(list), "\n")
	if slices.Contains(names, extension.TrimSuffix(p.name)) {
		return true
	}
	// One of the versions in a folder NAME.v has that folder's name.
	if of, isVersions := strings.CutSuffix(filepath.Base(filepath.Dir(p.Path)), ".v"); isVersions && slices.Contains(names, extension.TrimSuffix(of)) {
		return true
	}
	text, err := rooted.ReadFile(machine, path.Join(marker, "origin"), maxMarker)
	var origin struct {
		Extensions map[string]struct {
			Path string `json:"path"`
		} `json:"extensions"`
	}
	if err != nil || json.Unmarshal(text, &origin) != nil {
		return false
	}
	for _, from := range origin.Extensions {
		if filepath.Join(base, from.Path) == realPath(p.Path) {
			return true
		}
	}
	return false
}

// markedAt is when a file of a marker was written, zero if there is none.
func markedAt(machine *os.Root, name string) time.Time {
	f, err := rooted.Open(machine, name)
	if err != nil {
		return time.Time{}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// underMerge adds what to do about an error if a merge is why nothing can be written
// at a path.
func underMerge(err error, at string) error {
	mounts, listErr := mount.Mounts()
	if !errors.Is(err, unix.EROFS) || listErr != nil {
		return err
	}
	on, _ := mount.Covering(mounts, realPath(at))
	for _, k := range extension.Kinds() {
		if on.Type == "overlay" && on.Source == k.Name {
			return hint.Wrap(err, fmt.Sprintf("%ss are merged into %s, which makes it read-only: do it between inlay %s unmerge and refresh, or name another folder", k.Name, on.MountPoint, k.Name))
		}
	}
	return err
}

// realPath is a path as the kernel has it, as far as it is there.
func realPath(name string) string {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	folder, base := filepath.Split(absolute)
	if resolved, err := filepath.EvalSymlinks(absolute); err == nil {
		return resolved
	}
	if resolved, err := filepath.EvalSymlinks(folder); err == nil {
		return filepath.Join(resolved, base)
	}
	return absolute
}

// inside says whether a path lies below a folder.
func inside(name, folder string) bool {
	return strings.HasPrefix(name, strings.TrimSuffix(folder, "/")+"/")
}
