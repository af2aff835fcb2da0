package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/mount"
	"inlay/internal/rooted"
)

// coverSource is what mountinfo shows as the source of an empty folder of ours.
const coverSource = "inlay-cover"

// covers hide from systemd what must not be merged, or would make its merge fail
// as a whole: for the time of a merge, an empty folder is mounted over a folder,
// which systemd takes for a mask, and /dev/null over anything else, which it
// passes over. Links are covered themselves, never what they lead to. What is
// covered is written down first, so that the next command can uncover it if this
// one is killed.
type covers struct {
	root *os.Root
	base string // the path of root, "" for "/"
	list string // below root, where they are written down
}

// coverName is the file that lists them, below the root.
func coverName(k extension.Kind) string { return path.Join(stateFolder, "covered-"+k.Name+".json") }

// coverable returns the places to cover so that nothing by the name of an item is
// seen, without links.
func coverable(root *os.Root, i *Item) ([]string, error) {
	places := []string{path.Join(i.Candidate.Folder, i.Candidate.Entry)}
	for _, s := range i.Candidate.Shadowed {
		place := s.Path
		if folder := path.Dir(place); strings.HasSuffix(folder, ".v") {
			place = folder // or another version would be picked
		}
		places = append(places, place)
	}
	var resolved []string
	for _, place := range places {
		folder, err := rooted.Resolve(root, path.Dir(place))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("covering %q: %w", "/"+place, err)
		}
		if at := path.Join(folder, path.Base(place)); !slices.Contains(resolved, at) {
			resolved = append(resolved, at)
		}
	}
	return resolved, nil
}

// cover covers places. On error nothing stays covered.
func (c *covers) cover(places []string) (err error) {
	if len(places) == 0 {
		return nil
	}
	if err := writeList(c.root, c.list, places); err != nil {
		return fmt.Errorf("writing down what is covered: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.uncover())
		}
	}()
	m := mount.New(mount.Options{Features: mount.Detect(), Staging: path.Join(c.base, "/", stateFolder, "staging")})
	defer func() { err = errors.Join(err, m.Close()) }()
	for _, place := range places {
		if err := c.hide(m, place); err != nil {
			return fmt.Errorf("covering %q: %w", "/"+place, err)
		}
	}
	return nil
}

func (c *covers) hide(m *mount.Mounter, place string) error {
	at := path.Join(c.base, "/", place)
	info, err := os.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return hideFile(at)
	}
	tree, err := m.Tmpfs(mount.TmpfsOptions{Source: coverSource, Mode: 0o755, Flags: mount.ReadOnly | mount.NoDev | mount.NoSuid | mount.NoExec})
	if err != nil {
		return err
	}
	return errors.Join(tree.AttachTo(at), tree.Close())
}

// hideFile mounts /dev/null over a file or a link, which a path in /proc names
// without following it.
func hideFile(at string) (err error) {
	fd, err := unix.Open(at, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := unix.Mount("/dev/null", "/proc/self/fd/"+strconv.Itoa(fd), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting /dev/null: %w", err)
	}
	return nil
}

// uncover takes away every cover that was written down, whoever wrote it. What is
// mounted there and is none stays.
func (c *covers) uncover() error {
	places, err := readList(c.root, c.list)
	if err != nil {
		return fmt.Errorf("reading what is covered: %w", err)
	}
	if len(places) == 0 {
		return writeList(c.root, c.list, nil)
	}
	mounts, err := mount.Mounts()
	if err != nil {
		return err
	}
	var errs []error
	for _, info := range slices.Backward(mounts) {
		below, inside := strings.CutPrefix(info.MountPoint, c.base+"/")
		if !inside || !slices.Contains(places, below) || !isCover(info) {
			continue
		}
		if err := mount.Detach(info.MountPoint, info.Device); err != nil && !errors.Is(err, mount.ErrNotMounted) {
			errs = append(errs, fmt.Errorf("uncovering %q: %w", info.MountPoint, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return writeList(c.root, c.list, nil)
}

func isCover(m mount.Info) bool {
	return m.Type == "tmpfs" && m.Source == coverSource || path.Base(m.Root) == "null"
}
