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

// route is where resolving a path leads.
type route struct {
	dirs  []*Inode // from the root down
	names []string // of dirs but the root
}

// dir returns the folder at the end.
func (r *route) dir() *Inode {
	return r.dirs[len(r.dirs)-1]
}

// name returns the cleaned name of base in the folder.
func (r *route) name(base string) string {
	return strings.Join(append(slices.Clone(r.names), base), "/")
}

func (r *route) down(name string, dir *Inode) {
	r.dirs, r.names = append(r.dirs, dir), append(r.names, name)
}

// up goes to the folder above; the root is above itself.
func (r *route) up() {
	if n := len(r.names); n > 0 {
		r.dirs, r.names = r.dirs[:n], r.names[:n-1]
	}
}

// resolve finds the folder path for an entry of the layer that is being
// applied; nil if there is none. Symbolic links of lower layers are followed
// inside the tree. What this layer itself put there as something other than a
// folder ends it with an error: tools disagree on what comes then, and that is
// how archives write where they should not. The route is good until the next call.
func (a *applier) resolve(path string, how climb) (*route, error) {
	r := &a.route
	r.dirs, r.names = append(r.dirs[:0], a.tree.root), r.names[:0]
	followed := 0
	for rest := path; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		next, target, err := a.step(r, part, path, how)
		switch {
		case err != nil:
			return nil, err
		case target != "":
			if followed++; followed > maxFollow {
				err := fmt.Errorf("%s leads through more than %d symbolic links", quote(path), maxFollow)
				return nil, hint.Wrap(err, "make the layers again without symbolic links that lead to each other")
			}
			if target[0] == '/' {
				r.dirs, r.names = r.dirs[:1], r.names[:0]
			}
			rest = target + "/" + rest
		case next == nil:
			return nil, nil
		}
	}
	if how == climbMake {
		return r, a.fill(r, path)
	}
	return r, nil
}

// fill notes that this layer has something below each folder of a route.
func (a *applier) fill(r *route, path string) error {
	length := 0
	for _, name := range r.names {
		length += len(name) + 1
	}
	if length > maxName {
		err := fmt.Errorf("%s leads to a path of more than %d bytes", quote(path), maxName)
		return hint.Wrap(err, "make the layers again with shorter symbolic links")
	}
	for _, d := range r.dirs {
		d.dir.filled = a.layer
	}
	return nil
}

// step goes on by one component. It returns the folder where that leads, or
// the target of a link to follow, or neither if there is no such folder.
func (a *applier) step(r *route, part, path string, how climb) (next *Inode, target string, err error) {
	switch part {
	case "..": // of a link's target; names have none
		r.up()
		return r.dir(), "", nil
	case "", ".":
		return r.dir(), "", nil
	}
	next = r.dir().child(part)
	if next != nil && next.dir == nil {
		if how == climbOnly && next.Kind() != Symlink {
			return nil, "", nil
		}
		target, err = a.inTheWay(r, part, next, path)
		if target != "" || err != nil {
			return nil, target, err
		}
		next = nil
	}
	if next == nil {
		if how == climbOnly {
			return nil, "", nil
		}
		next = implied()
		if err := a.cost(inodeCost); err != nil {
			return nil, "", err
		}
		r.dir().replace(part, next)
	}
	r.down(part, next)
	return next, "", nil
}

// inTheWay decides about next, which is no folder but has something below it:
// it returns the target of a link to follow, or "" if next gives way to a folder.
func (a *applier) inTheWay(at *route, part string, next *Inode, path string) (target string, err error) {
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
