package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"inlay/internal/hint"
)

// maxLinks is how many links one path may lead through, as in the kernel.
const maxLinks = 40

// guard refuses files that others than root and the user could write to, or put
// something else in place of: in any folder on the way there, those included that
// links lead through. What lies above the root folder is the business of who
// named that.
type guard struct {
	root *os.Root
	user int
	// could is what whoever writes to them gets: "add a trusted key".
	could string
}

// file checks the way to a file that is open.
func (g guard) file(name string, f *os.File) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	clean, err := g.way(name)
	if err != nil {
		return err
	}
	info, err := g.root.Lstat(clean)
	if err != nil {
		return err
	}
	if !os.SameFile(info, opened) {
		return errors.New("it was replaced while it was read")
	}
	if err := g.owner("it", clean, opened); err != nil {
		return err
	}
	if who, mend := g.writers(opened); who != "" {
		return hint.Wrap(fmt.Errorf("%s may write to it, and so %s", who, g.could), g.command(mend, clean)+", after a look at what it says")
	}
	return nil
}

// way checks each folder on the way to name, and returns name without links.
func (g guard) way(name string) (string, error) {
	at, links := ".", 0
	for rest := strings.Split(name, "/"); len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
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
			return "", errors.New("it leads through too many links")
		}
		if path.IsAbs(target) {
			at = "."
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return at, nil
}

// folder checks that nobody else can replace entry in a folder whose path has no
// links or, if it is nil, put any name there.
func (g guard) folder(at string, entry fs.FileInfo) error {
	info, err := g.root.Lstat(at)
	if err != nil {
		return err
	}
	if err := g.owner(fmt.Sprintf("the folder %q", path.Join("/", at)), at, info); err != nil {
		return err
	}
	who, mend := g.writers(info)
	if who == "" {
		return nil
	}
	// As in /tmp: one replaces only what is one's own.
	if entry != nil && info.Mode()&fs.ModeSticky != 0 && g.ours(entry) {
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s may write to the folder %q, and so %s", who, path.Join("/", at), g.could),
		g.command(mend, at)+", after a look at what is in it")
}

func (g guard) owner(what, name string, info fs.FileInfo) error {
	if g.ours(info) {
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s belongs to %s, who could %s", what, owner(info), g.could),
		g.command("chown root", name)+", after a look at it")
}

// ours says whether root or the user owns something.
func (g guard) ours(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int64(s.Uid) == int64(g.user))
}

func owner(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("user %d", s.Uid)
	}
	return "nobody knows whom"
}

// writers says who else may write to something, and what takes that from them.
// The user's own group has the user's number, where there is one.
func (g guard) writers(info fs.FileInfo) (who, mend string) {
	s, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return "anybody", "chmod o-w"
	case mode&0o020 == 0:
	case !ok:
		return "a group", "chmod g-w"
	case s.Gid != 0 && int64(s.Gid) != int64(g.user):
		return fmt.Sprintf("group %d", s.Gid), "chmod g-w"
	}
	return "", ""
}

// command is a command about a name below the root.
func (g guard) command(verb, name string) string {
	return verb + " " + path.Join(g.root.Name(), name)
}
