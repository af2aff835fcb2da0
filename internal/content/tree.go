package content

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Tree is the tree of files in an extension.
type Tree struct {
	kind string
	root node
	// Of the folder that was read last. Whoever looks for one file often wants
	// its neighbour next.
	lastID   any
	lastList []child
}

// FileSystem returns the word for what holds the tree, as Probe has it, or
// "folder".
func (t *Tree) FileSystem() string { return t.kind }

// Walk calls fn for every file: the root first, each folder before what it
// holds, and what is in one folder in bytewise order of names. It ends with
// the first error, that of fn as it is.
func (t *Tree) Walk(ctx context.Context, fn func(*File) error) error {
	w := &walk{tree: t, fn: fn, seen: map[any]bool{}, count: 1}
	return w.visit(ctx, ".", t.root, 0)
}

// walk is one walk.
type walk struct {
	tree  *Tree
	fn    func(*File) error
	seen  map[any]bool // the folders met so far
	count int          // of files met, or listed and still to come
}

func (w *walk) visit(ctx context.Context, path string, n node, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch {
	case depth > maxDepth:
		return fmt.Errorf("reading %q: more than %d folders deep", short(path), maxDepth)
	case len(path) > maxPath:
		return fmt.Errorf("reading %q: the path is longer than %d bytes", short(path), maxPath)
	}
	f, err := w.tree.stat(path, n)
	if err != nil {
		return err
	}
	if err := w.fn(f); err != nil || f.Type() != TypeFolder {
		return err
	}
	// No folder has two names. One that does may hold itself.
	if w.seen[n.id()] {
		return fmt.Errorf("reading %q: the folder is in the tree twice", rooted(path))
	}
	w.seen[n.id()] = true
	list, err := w.tree.children(path, n)
	if err != nil {
		return err
	}
	// The lists of all folders above are in memory until they were walked.
	if w.count += len(list); w.count > maxFiles {
		return fmt.Errorf("reading the folder %q: there are more than %d files", rooted(path), maxFiles)
	}
	for _, c := range list {
		if err := w.visit(ctx, below(path, c.name), c.node, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// stat returns what n is, checked.
func (t *Tree) stat(path string, n node) (*File, error) { return known(path, n, n.stat) }

// peek is stat for what is only on the way: its attributes may be missing.
func (t *Tree) peek(path string, n node) (*File, error) {
	if l, ok := n.(lister); ok {
		return known(path, n, l.peek)
	}
	return known(path, n, n.stat)
}

func known(path string, n node, stat func() (*File, error)) (*File, error) {
	var f *File
	err := guard(func() (err error) {
		f, err = stat()
		return err
	})
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", rooted(path), err)
	}
	f.Path, f.node = path, n
	return f, nil
}

// children returns what is in the folder n, checked and sorted.
func (t *Tree) children(path string, n node) ([]child, error) {
	if t.lastID != nil && t.lastID == n.id() {
		return t.lastList, nil
	}
	var list []child
	err := guard(func() (err error) {
		list, err = n.children()
		return err
	})
	if err == nil {
		err = checkChildren(list)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the folder %q: %w", rooted(path), err)
	}
	t.lastID, t.lastList = n.id(), list
	return list, nil
}

// lookup returns the node called name in the folder n, or nil.
func (t *Tree) lookup(path string, n node, name string) (node, error) {
	if l, ok := n.(lister); ok {
		return l.child(name), nil
	}
	list, err := t.children(path, n)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearchFunc(list, name, func(c child, name string) int { return strings.Compare(c.name, name) })
	if !found {
		return nil, nil
	}
	return list[i].node, nil
}

// below is the path of name in the folder path.
func below(path, name string) string {
	if path == "." {
		return name
	}
	return path + "/" + name
}

// rooted is a path as people know it.
func rooted(path string) string {
	if path == "." {
		return "/"
	}
	return "/" + path
}

// short is the start of a path that is too long to print.
func short(path string) string { return rooted(path[:min(len(path), 64)]) + "…" }
