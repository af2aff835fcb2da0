package rooted

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Null is what a link that masks a name leads to, below the root.
const Null = "dev/null"

// maxLinks is how many links one path may lead through, as in the kernel.
const maxLinks = 40

// What can be wrong with a link beside where it leads.
var (
	ErrLinks = errors.New("it leads through too many links")
	ErrLeads = errors.New("it leads out of the root folder")
)

// Resolve returns name without links in it, and without a slash in front: what
// [os.Root] takes. What it leads to is there, unless it is [Null], which a root
// that isn't running has not got. Else the error is fs.ErrNotExist, or
// [ErrDangling] where name itself is a link.
func Resolve(root *os.Root, name string) (string, error) {
	var done []string
	rest := slices.DeleteFunc(strings.Split(name, "/"), func(part string) bool { return part == "" || part == "." })
	own := len(rest) // that many of rest, its last ones, are name's; links brought the others
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		brought := len(rest) >= own
		own = min(own, len(rest))
		switch part {
		case "", ".":
			continue
		case "..":
			if len(done) == 0 {
				return "", ErrLeads
			}
			done = done[:len(done)-1]
			continue
		}
		at := path.Join(path.Join(done...), part)
		if at == path.Dir(Null) && len(rest) == 1 && rest[0] == path.Base(Null) {
			return Null, nil
		}
		info, err := root.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) && brought && own == 0 {
			return "", ErrDangling
		}
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = append(done, part)
			continue
		}
		if links++; links > maxLinks {
			return "", ErrLinks
		}
		target, err := root.Readlink(at)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = nil
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return path.Join(path.Join(done...), "."), nil
}

// cleaned is name as Resolve would return it, were there no links.
func cleaned(name string) string { return path.Join(".", strings.TrimLeft(name, "/")) }
