package content

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// Lstat returns the file called name, which may be a link itself. Links above
// it are resolved inside of the tree. The error is fs.ErrNotExist if there is
// none.
func (t *Tree) Lstat(name string) (*File, error) {
	f, _, err := t.find(name, false)
	return f, err
}

// Resolve follows the links in name, at most 40, inside of the tree: from an
// absolute one on its root is "/", and nothing leads above that. It returns
// where they lead, without any link or dot in it, and what is there.
func (t *Tree) Resolve(name string) (clean string, f *File, err error) {
	f, _, err = t.find(name, true)
	if err != nil {
		return "", nil, err
	}
	return f.Path, f, nil
}

// place is a file on the way.
type place struct {
	file *File
	node node
}

func (t *Tree) find(name string, follow bool) (*File, node, error) {
	root, err := t.peek(".", t.root)
	if err != nil {
		return nil, nil, err
	}
	way := []place{{root, t.root}} // from the root to where we are
	todo := strings.Split(name, "/")
	links := 0
	for len(todo) > 0 {
		step, here := todo[0], way[len(way)-1]
		todo = todo[1:]
		if step == "" || step == "." {
			continue
		}
		if here.file.Type() != TypeFolder {
			return nil, nil, fmt.Errorf("opening %q: %w", name, syscall.ENOTDIR)
		}
		if step == ".." {
			way = way[:max(1, len(way)-1)]
			continue
		}
		next, err := t.step(name, here, step)
		if err != nil {
			return nil, nil, err
		}
		if next.file.Type() != TypeLink || !follow && len(todo) == 0 {
			if way = append(way, *next); len(way) > maxDepth {
				return nil, nil, fmt.Errorf("opening %q: more than %d folders deep", name, maxDepth)
			}
			continue
		}
		if links++; links > maxFollow {
			return nil, nil, fmt.Errorf("opening %q: %w", name, syscall.ELOOP)
		}
		if strings.HasPrefix(next.file.Target, "/") {
			way = way[:1]
		}
		todo = slices.Concat(strings.Split(next.file.Target, "/"), todo)
	}
	last := way[len(way)-1]
	if _, peeked := last.node.(lister); peeked {
		if last.file, err = t.stat(last.file.Path, last.node); err != nil {
			return nil, nil, err
		}
	}
	return last.file, last.node, nil
}

// step goes from a folder to what is called name in it.
func (t *Tree) step(whole string, here place, name string) (*place, error) {
	n, err := t.lookup(here.file.Path, here.node, name)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, fmt.Errorf("opening %q: %w", whole, fs.ErrNotExist)
	}
	f, err := t.peek(below(here.file.Path, name), n)
	if err != nil {
		return nil, err
	}
	return &place{f, n}, nil
}
