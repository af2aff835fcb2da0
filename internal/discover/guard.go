package discover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/rooted"
)

// maxLinks is how many links one path may lead through, as in the kernel.
const maxLinks = 40

// guard says who else than root and the user could put something else in place
// of a file: in any folder on the way there, those included that links lead
// through. What lies above the root folder is the business of who named that.
type guard struct {
	root *os.Root
	user int
}

// exposed says who else could change what a candidate is, or nil.
func (c *Candidate) exposed(root *os.Root) error {
	g := guard{root: root, user: c.user}
	name := path.Join(c.Folder, c.Entry)
	if c.Picked != nil {
		name = path.Join(name, c.Picked.Entry)
	}
	at, err := g.way(name)
	if err != nil {
		return err
	}
	info, err := root.Lstat(at)
	if err != nil {
		return err
	}
	if at != c.Path {
		return ErrExchanged
	}
	return g.alone("it", at, info)
}

// way goes the way to name, and returns it without links.
func (g guard) way(name string) (string, error) {
	at, links := ".", 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		entry := path.Join(at, part)
		info, err := g.root.Lstat(entry)
		if err != nil {
			return "", err
		}
		if err := g.folder(at, info); err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = entry
			continue
		}
		target, err := g.root.Readlink(entry)
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", rooted.ErrLinks
		}
		if path.IsAbs(target) {
			at = "."
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return at, nil
}

// folder checks that nobody else can replace an entry of a folder whose path has
// no links.
func (g guard) folder(at string, entry fs.FileInfo) error {
	info, err := g.root.Lstat(at)
	if err != nil {
		return err
	}
	// As in /tmp: one replaces only what is one's own.
	if info.Mode()&fs.ModeSticky != 0 && g.ours(info) && g.ours(entry) {
		return nil
	}
	return g.alone(fmt.Sprintf("the folder %q", path.Join("/", at)), at, info)
}

// alone checks that nobody else owns something or may write to it.
func (g guard) alone(what, at string, info fs.FileInfo) error {
	refuse := func(text, command string) error {
		return hint.Wrap(errors.New(text), command+" "+path.Join(g.root.Name(), at)+", after a look at it")
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("this system tells no owners")
	}
	if !g.ours(info) {
		return refuse(fmt.Sprintf("%s belongs to user %d", what, s.Uid), "chown root")
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return refuse("anybody may write to "+what, "chmod o-w")
	case mode&0o020 == 0:
		// An access list, too, gives no more than what is written here.
		return nil
	case s.Gid != 0 && int64(s.Gid) != int64(g.user):
		return refuse(fmt.Sprintf("group %d may write to %s", s.Gid, what), "chmod g-w")
	}
	listed, err := g.accessList(at)
	if err != nil {
		return fmt.Errorf("looking for the access list of %s: %w", what, err)
	}
	if listed {
		return refuse("an access list may let others write to "+what, "setfacl -b")
	}
	return nil
}

// ours says whether root or the user owns something.
func (g guard) ours(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int64(s.Uid) == int64(g.user))
}

// accessList says whether something has a POSIX access control list, with which
// the group's bits are the most that any user or group on it may have.
func (g guard) accessList(at string) (bool, error) {
	f, err := g.root.OpenFile(at, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	// The calls for descriptors refuse those that only name a file.
	_, err = unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), "system.posix_acl_access", nil)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return false, nil
	default:
		return false, err
	}
}
