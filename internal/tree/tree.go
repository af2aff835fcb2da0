// Package tree turns the layers of a container image, or a folder, into one
// tree of files without unpacking anything: what tar, the OCI image layer
// specification ("Applying Changesets") and overlayfs say, applied in memory.
//
// [ReadTar] reads one tar stream, [Dir] a folder, and [Merge] puts layers on
// top of each other. Merge reads every layer once, the highest first, and hands
// the content of each file that will survive to a [Sink] as it passes; only a
// layer whose content was misjudged that way is read a second time.
//
// Left out on purpose: ACLs in GNU tar's text form (SCHILY.acl.*; images carry
// them as extended attributes), access and change times, user and group names,
// and the attributes of hard link entries, which are those of their target.
package tree

import (
	"fmt"
	"iter"
	"strings"

	"inlay/internal/hint"
)

// Tree is a tree of files. Folders are sorted bytewise by name. It is not safe
// for concurrent use, and must not be changed while it is being walked.
type Tree struct {
	root *Inode
}

// New returns a tree that holds only its root, root:root 0755 with mtime 0.
func New() *Tree {
	t := &Tree{root: implied()}
	t.root.Links = 1
	return t
}

// implied makes a folder that no entry names.
func implied() *Inode {
	ino := NewInode(Directory, 0o755)
	ino.Implied = true
	return ino
}

// Root returns the root folder.
func (t *Tree) Root() *Inode {
	return t.root
}

// Lookup returns what lies at the cleaned name, "" being the root, or nil.
// It follows no symbolic links.
func (t *Tree) Lookup(name string) *Inode {
	at := t.root
	for name != "" && at != nil {
		var part string
		part, name, _ = strings.Cut(name, "/")
		at = at.child(part)
	}
	return at
}

// All walks the tree: each folder before what it holds, its names in bytewise
// order, beginning with the root, whose name is "".
func (t *Tree) All() iter.Seq2[string, *Inode] {
	return func(yield func(string, *Inode) bool) {
		if yield("", t.root) {
			walk(t.root, nil, yield)
		}
	}
}

// walk yields what lies below dir, whose own path is prefix with a final slash.
func walk(dir *Inode, prefix []byte, yield func(string, *Inode) bool) bool {
	for name, ino := range dir.Children() {
		path := append(prefix, name...)
		if !yield(string(path), ino) {
			return false
		}
		if ino.dir != nil && !walk(ino, append(path, '/'), yield) {
			return false
		}
	}
	return true
}

// Insert puts ino at the cleaned name and makes the folders above it that are
// missing, root:root 0755. What was there before is replaced; a folder put over
// a folder keeps what that one holds. It is an error to replace a folder by
// something else, to replace the root, or to go through what is no folder.
func (t *Tree) Insert(name string, ino *Inode) error {
	if name == "" {
		return fmt.Errorf("inserting %q: the root is already there", name)
	}
	above, base := split(name)
	at := t.root
	for above != "" {
		var part string
		part, above, _ = strings.Cut(above, "/")
		next := at.child(part)
		if next == nil {
			next = implied()
			at.dir.put(part, next)
			next.Links++
		}
		if next.dir == nil {
			err := fmt.Errorf("inserting %q: %q is a %s, not a folder", name, part, next.Kind())
			return hint.Wrap(err, "make it a folder in the source")
		}
		at = next
	}
	if old := at.child(base); old != nil && old.dir != nil && ino.dir == nil {
		err := fmt.Errorf("inserting %q: a folder has this name", name)
		return hint.Wrap(err, "remove the folder from the source")
	}
	at.replace(base, ino)
	return nil
}

// Remove takes name out of the tree, with all that lies below it, and reports
// whether it was there. The root cannot be removed.
func (t *Tree) Remove(name string) bool {
	above, base := split(name)
	parent := t.Lookup(above)
	return name != "" && parent != nil && parent.remove(base)
}

// split cuts a cleaned name into its folder and its last component.
func split(name string) (above, base string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}
