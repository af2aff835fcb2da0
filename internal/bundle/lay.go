package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/source"
	"inlay/internal/tree"
)

// maxDepth bounds how deep folders lie in each other: one is open for each level.
const maxDepth = 512

// fill makes the new tree of what all layers of images hold.
func (s *staging) fill(ctx context.Context, parts []Part, a *attributes) (*Counts, error) {
	var layers []tree.Layer
	for _, p := range parts {
		every, err := source.ParseLayers("all")
		if err != nil {
			return nil, err
		}
		chosen, err := p.Image.Select(every)
		if err != nil {
			return nil, err
		}
		for _, l := range chosen {
			layers = append(layers, l)
		}
	}
	folder, err := s.dir.Open(newContent)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	c := newContents(folder, a)
	merged, _, err := tree.Merge(ctx, layers, tree.Options{}, c)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := p.Image.Empty(p.Image.Layers); err != nil {
			return nil, err
		}
	}
	w := &layer{ctx: ctx, contents: c, attrs: a, linked: map[*tree.Inode]struct{}{}}
	return &w.counts, w.folder(s.lock, newTree, "", merged.Root(), 0)
}

// layer lays a tree down on the disk, whose files are there already, by number.
type layer struct {
	ctx      context.Context // of this one call
	contents *contents
	attrs    *attributes
	counts   Counts
	linked   map[*tree.Inode]struct{} // files with several names, of which one was met
}

// folder makes the folder base in at, called name in the tree, and all below it.
// Its attributes come last: they may forbid to write to it, and its time would
// change.
func (l *layer) folder(at *os.File, base, name string, ino *tree.Inode, depth int) error {
	if depth > maxDepth {
		return hint.Wrap(fmt.Errorf("folders lie more than %d deep in each other", maxDepth), "build the image without them")
	}
	if err := l.ctx.Err(); err != nil {
		return context.Cause(l.ctx)
	}
	if err := unix.Mkdirat(int(at.Fd()), base, 0o700); err != nil {
		return fmt.Errorf("making the folder %q: %w", "/"+name, err)
	}
	fd, err := unix.Openat(int(at.Fd()), base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the folder %q: %w", "/"+name, err)
	}
	folder := os.NewFile(uintptr(fd), name)
	defer folder.Close()
	for child, inode := range ino.Children() {
		below := child
		if name != "" {
			below = name + "/" + child
		}
		if inode.Kind() == tree.Directory {
			err = l.folder(folder, child, below, inode, depth+1)
		} else {
			err = l.file(folder, child, below, inode)
		}
		if err != nil {
			return err
		}
	}
	l.counts.Folders++
	return l.attrs.set(at, base, name, ino)
}

// file gives a file its name. One that has several is linked.
func (l *layer) file(folder *os.File, base, name string, ino *tree.Inode) error {
	if l.attrs.mine && (ino.Kind() == tree.Char || ino.Kind() == tree.Block) {
		l.attrs.devices++
		return nil
	}
	if _, again := l.linked[ino]; !again {
		if err := l.first(name, ino); err != nil {
			return err
		}
	}
	from, number, to := int(l.contents.folder.Fd()), number(ino.Ref), int(folder.Fd())
	var err error
	if ino.Links > 1 {
		err = unix.Linkat(from, number, to, base, 0)
	} else {
		err = unix.Renameat(from, number, to, base)
	}
	if err != nil {
		return fmt.Errorf("naming %q: %w", "/"+name, err)
	}
	return nil
}

// first counts a file that is met for the first time, and makes it if it has no
// content of its own.
func (l *layer) first(name string, ino *tree.Inode) error {
	if ino.Links > 1 {
		l.linked[ino] = struct{}{}
	}
	switch ino.Kind() {
	case tree.Regular:
		l.counts.Files++
		l.counts.Bytes += ino.Size
		return nil
	case tree.Symlink:
		l.counts.Symlinks++
	default:
		l.counts.Devices++
	}
	return l.special(name, ino)
}

// special makes what has no content of its own.
func (l *layer) special(name string, ino *tree.Inode) error {
	ref := l.contents.next()
	at, base := int(l.contents.folder.Fd()), number(ref)
	var err error
	switch ino.Kind() {
	case tree.Symlink:
		err = unix.Symlinkat(ino.Target, at, base)
	case tree.Char, tree.Block, tree.Fifo:
		err = asRoot(unix.Mknodat(at, base, ino.Mode&^0o7777|0o600, int(unix.Mkdev(ino.Major, ino.Minor))))
	default:
		err = errors.New("it is of an unknown kind")
	}
	if err != nil {
		return fmt.Errorf("making the %s %q: %w", ino.Kind(), "/"+name, err)
	}
	ino.Ref = ref
	return l.attrs.set(l.contents.folder, base, name, ino)
}
