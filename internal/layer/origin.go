package layer

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/discover"
)

// origin is what the marker file of that name has, as systemd 260 and later write
// it: what was merged, and how. A refresh that would write the same does nothing.
type origin struct {
	Mutable      originMutable           `json:"mutable"`
	MountOptions string                  `json:"mountOptions,omitempty"`
	Extensions   map[string]originSource `json:"extensions,omitempty"`
}

type originMutable struct {
	Mode Mode `json:"mode"`
	// Dirs are the folders that take part, by hierarchy.
	Dirs map[string]string `json:"mutableDirs,omitempty"`
}

// originSource is an extension: by its root hash, or else by the very file or
// folder and its times.
type originSource struct {
	Path       string        `json:"path"`
	VerityHash string        `json:"verityHash,omitempty"`
	MountID    uint64        `json:"onMountId,omitempty"`
	Handle     *originHandle `json:"fileHandle,omitempty"`
	Inode      uint64        `json:"inode,omitempty"`
	// In microseconds since 1970. Created is left out where the file system doesn't
	// tell, Modified is 0 for folders that are no subvolumes.
	Created  uint64  `json:"crtime,omitempty"`
	Modified *uint64 `json:"mtime,omitempty"`
}

type originHandle struct {
	Type   int32  `json:"type"`
	Handle string `json:"handle"`
}

// text is what the marker has.
func (o *origin) text() ([]byte, error) {
	text, err := json.MarshalIndent(o, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("writing the origin: %w", err)
	}
	return append(text, '\n'), nil
}

// isSame says whether two texts are the same but for order and blanks.
func isSame(a, b []byte) bool {
	var x, y any
	decode := func(text []byte, to any) error {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber() // times don't fit into a float
		return d.Decode(to)
	}
	return decode(a, &x) == nil && decode(b, &y) == nil && reflect.DeepEqual(x, y)
}

// originOf describes what a plan merges. dirs are the folders of mutability by
// hierarchy.
func (n *Native) originOf(p *Plan, dirs map[string]string) (*origin, error) {
	o := &origin{
		Mutable:      originMutable{Mode: p.Request.Mutable, Dirs: dirs},
		MountOptions: p.Request.Getenv(variable(p.Request.Kind, "OVERLAYFS_MOUNT_OPTIONS")),
		Extensions:   map[string]originSource{},
	}
	for _, i := range p.Merged() {
		source, err := n.sourceOf(i, p.Stacks)
		if err != nil {
			return nil, fmt.Errorf("describing extension %q: %w", i.Name, err)
		}
		o.Extensions[i.Name] = source
	}
	return o, nil
}

// within says whether a place lies in a hierarchy, where a merge hides the mount that
// it is on.
func within(place string, stacks []Stack) bool {
	return slices.ContainsFunc(stacks, func(s Stack) bool { return strings.HasPrefix(place, s.Place+"/") })
}

func (n *Native) sourceOf(i *Item, stacks []Stack) (originSource, error) {
	source := originSource{Path: path.Join("/", i.Candidate.Path)}
	if i.Volume != nil && i.Volume.Protected {
		source.VerityHash = hex.EncodeToString(i.Volume.RootHash[:])
		return source, nil
	}
	f := i.Opened.File
	if f == nil {
		var err error
		if f, err = i.Opened.Folder.Open("."); err != nil {
			return source, err
		}
		defer f.Close()
	}
	var stat unix.Statx_t
	if err := statx(int(f.Fd()), "", &stat); err != nil {
		return source, err
	}
	const micro = 1000
	stamp := func(t unix.StatxTimestamp) uint64 {
		return uint64(t.Sec)*1_000_000 + uint64(t.Nsec)/micro //nolint:gosec // after 1970
	}
	if stat.Mask&unix.STATX_BTIME != 0 {
		source.Created = stamp(stat.Btime)
	}
	source.Modified = new(uint64)
	switch i.Candidate.Type {
	case discover.Raw:
		*source.Modified = stamp(stat.Mtime)
	case discover.Subvolume:
		*source.Modified = uint64(i.Candidate.ModTime.UnixMicro()) //nolint:gosec // after 1970
	}
	if !within(i.Candidate.Path, stacks) {
		source.MountID = n.mountOf(i, &stat)
	}
	return source, source.identify(f, stat.Ino)
}

// mountOf returns the number of the mount that an item is on, as the caller's
// namespace has it: that of a view is another one each time. 0 stands for one that
// isn't to be seen there.
func (n *Native) mountOf(i *Item, seen *unix.Statx_t) uint64 {
	var stat unix.Statx_t
	if err := statx(unix.AT_FDCWD, n.at(i.Candidate.Path), &stat); err != nil || stat.Ino != seen.Ino ||
		stat.Dev_major != seen.Dev_major || stat.Dev_minor != seen.Dev_minor {
		return 0
	}
	return stat.Mnt_id
}

// statx looks at path, or at the open file fd if it is "".
func statx(fd int, path string, stat *unix.Statx_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if path == "" {
		flags = unix.AT_EMPTY_PATH
	}
	const mask = unix.STATX_BASIC_STATS | unix.STATX_BTIME
	err := unix.Statx(fd, path, flags, mask|unix.STATX_MNT_ID_UNIQUE, stat)
	if errors.Is(err, unix.EINVAL) {
		err = unix.Statx(fd, path, flags, mask|unix.STATX_MNT_ID, stat)
	}
	return err
}

// identify sets what tells a file from another one on its file system.
func (s *originSource) identify(f *os.File, inode uint64) error {
	// By its name in /proc, as AT_EMPTY_PATH wants privileges on older kernels.
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.AT_SYMLINK_FOLLOW)
	switch {
	case err == nil:
		s.Handle = &originHandle{handle.Type(), hex.EncodeToString(handle.Bytes())}
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EOVERFLOW), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		s.Inode = inode
	default:
		return fmt.Errorf("asking for the handle of %q: %w", f.Name(), err)
	}
	return nil
}
