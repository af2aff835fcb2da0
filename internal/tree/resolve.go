package tree

import (
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
)

// maxFollow is how many symbolic links one path may cross, as in Linux.
const maxFollow = 40

// climb says how resolving a path treats what it meets.
type climb uint8

const (
	climbOnly climb = iota // missing folders stay missing
	climbMake              // missing folders are made, and files in the way replaced
)

// route is where resolving a path led.
type route struct {
	dir   *Inode   // nil if there is no such folder
	names []string // the folders from the root to dir, without links
}

// name returns the cleaned name of base in the folder.
func (r route) name(base string) string {
	return strings.Join(append(slices.Clone(r.names), base), "/")
}

// resolve finds the folder path for an entry of the layer that is being
// applied. Symbolic links of lower layers are followed inside the tree, the
// root being above itself; what this layer itself put there as something other
// than a folder ends it with an error: tools disagree on what comes then, and
// that is how archives write where they should not.
func (a *applier) resolve(path string, how climb) (route, error) {
	dirs, names := append(a.dirs[:0], a.tree.root), a.names[:0]
	defer func() { a.dirs, a.names = dirs, names }()
	length, followed := 0, 0
	for rest := path; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		at := dirs[len(dirs)-1]
		switch part {
		case "", ".":
			continue
		case "..": // of a link's target; names have none
			if len(names) > 0 {
				length -= len(names[len(names)-1]) + 1
				dirs, names = dirs[:len(dirs)-1], names[:len(names)-1]
			}
			continue
		}
		next := at.child(part)
		if next != nil && next.dir == nil {
			if how == climbOnly && next.Kind() != Symlink {
				return route{}, nil
			}
			target, err := a.inTheWay(route{at, names}, part, next, path)
			if err != nil {
				return route{}, err
			}
			if target != "" {
				if followed++; followed > maxFollow {
					return route{}, fmt.Errorf("%s leads through more than %d symbolic links", quote(path), maxFollow)
				}
				if target[0] == '/' {
					dirs, names, length = dirs[:1], names[:0], 0
				}
				rest = target + "/" + rest
				continue
			}
			next = nil
		}
		if next == nil {
			if how == climbOnly {
				return route{}, nil
			}
			next = implied()
			if err := a.cost(inodeCost); err != nil {
				return route{}, err
			}
			at.replace(part, next)
		}
		if length += len(part) + 1; length > maxName {
			return route{}, fmt.Errorf("%s leads to a path of more than %d bytes", quote(path), maxName)
		}
		dirs, names = append(dirs, next), append(names, part)
	}
	if how == climbMake {
		for _, d := range dirs {
			d.dir.filled = a.layer
		}
	}
	return route{dirs[len(dirs)-1], names}, nil
}

// inTheWay decides about next, which is no folder but has something below it:
// it returns the target of a link to follow, or "" if next gives way to a folder.
func (a *applier) inTheWay(at route, part string, next *Inode, path string) (target string, err error) {
	name := at.name(part)
	if next.layer == a.layer {
		err := fmt.Errorf("an entry of this layer lies in %s, but the layer makes %s a %s", quote(path), quote(name), next.Kind())
		return "", hint.Wrap(err, "make the layer again with a folder there, or with the entry in the folder that is meant")
	}
	if next.Kind() != Symlink {
		return "", nil
	}
	// The layer may put a folder or a link of its own there, only later.
	own, ok := a.ownNames()[name]
	if ok && own != Directory {
		err := fmt.Errorf("an entry of this layer lies in %s, but the layer makes %s a %s", quote(path), quote(name), own)
		return "", hint.Wrap(err, "make the layer again with a folder there, or with the entry in the folder that is meant")
	}
	if ok {
		return "", nil
	}
	return next.Target, nil
}

// ownNames returns the folders and links that the layer itself has, the last
// of each name. It is made when the first link of a lower layer is met: most
// layers need none.
func (a *applier) ownNames() map[string]Kind {
	if a.own == nil {
		a.own = map[string]Kind{}
		for rec := range a.records.all() {
			switch {
			case rec.ino == nil:
				a.own[rec.name] = HardLink
			case rec.ino.dir != nil:
				a.own[rec.name] = Directory
			case rec.ino.Kind() == Symlink:
				a.own[rec.name] = Symlink
			default:
				delete(a.own, rec.name)
			}
		}
	}
	return a.own
}
