package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"inlay/internal/hint"
)

// Dir is the layer that the folder root holds: its own attributes first, then
// what is in it, sorted, each folder before its content. Links are not
// followed, and nothing outside root is read. A socket, which no archive can
// hold, is refused, and so is a file that changes while it is read. Names of
// whiteouts are whiteouts, as in a tar. The caller closes root.
//
// What cannot be read or held matters only where wanted says so of its name,
// and is passed over elsewhere; nil wants everything. It must want the folders
// above what it wants.
func Dir(root *os.Root, wanted func(name string) bool) Layer {
	if wanted == nil {
		wanted = func(string) bool { return true }
	}
	return dirLayer{root, wanted}
}

type dirLayer struct {
	root   *os.Root
	wanted func(name string) bool
}

func (l dirLayer) Name() string { return l.root.Name() }

func (l dirLayer) Walk(ctx context.Context, fn func(*Entry, io.Reader) error) error {
	return walkAhead(ctx, func(a *ahead) error {
		w := &dirWalk{ctx: ctx, ahead: a, root: l.root, wanted: l.wanted, links: map[fileID]string{}}
		info, err := l.root.Lstat(".")
		if err != nil {
			return err
		}
		return w.folder(l.root, "", info)
	}, fn)
}

// fileID tells one file of a machine from another.
type fileID struct{ device, inode uint64 }

// dirWalk is one walk of a folder.
type dirWalk struct {
	ctx    context.Context // of this one call of Walk
	ahead  *ahead
	root   *os.Root
	wanted func(name string) bool
	links  map[fileID]string // the first name of each file that has several
	count  int
}

// folder gives out the folder dir, called name, and all that is in it.
func (w *dirWalk) folder(dir *os.Root, name string, info fs.FileInfo) error {
	handle, err := dir.Open(".")
	if err != nil {
		return w.lost(name, unreadable(name, err))
	}
	defer handle.Close()
	if err := w.give(dir, handle, ".", name, info); err != nil {
		return err
	}
	names, err := handle.Readdirnames(-1)
	if err != nil {
		return w.lost(name, unreadable(name, err))
	}
	slices.Sort(names)
	for _, base := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.file(dir, handle, base, path.Join(name, base)); err != nil {
			return err
		}
	}
	return nil
}

// file gives out base in dir, and all below it.
func (w *dirWalk) file(dir *os.Root, handle *os.File, base, name string) error {
	info, err := dir.Lstat(base)
	if err != nil {
		return w.lost(name, unreadable(name, err))
	}
	if !info.IsDir() {
		return w.give(dir, handle, base, name, info)
	}
	sub, err := dir.OpenRoot(base)
	if err != nil {
		return w.lost(name, unreadable(name, err))
	}
	defer sub.Close()
	now, err := sub.Lstat(".")
	if err != nil {
		return w.lost(name, unreadable(name, err))
	}
	if !os.SameFile(info, now) {
		return w.lost(name, changed(name))
	}
	return w.folder(sub, name, info)
}

// lost decides about a file that could not be read.
func (w *dirWalk) lost(name string, err error) error {
	if !w.wanted(name) {
		return nil
	}
	return err
}

// give makes the entry of base in dir (open as handle).
func (w *dirWalk) give(dir *os.Root, handle *os.File, base, name string, info fs.FileInfo) error {
	if w.count++; w.count > maxEntries {
		return fmt.Errorf("reading folder: more than %d entries", maxEntries)
	}
	e, skip, err := w.entry(dir, base, name, info)
	if err != nil || skip {
		return w.lost(name, err)
	}
	b, err := w.ahead.room()
	if err != nil {
		return err
	}
	if e.Kind == Whiteout || e.Kind == Opaque || e.Kind == HardLink {
		b.add(e, nil, nil)
		return nil
	}
	var text []byte
	var later *fileContent
	if e.Kind == Regular {
		if text, err = w.small(b, handle, e, base, info); err != nil {
			return err
		}
		if text == nil {
			// By then this folder may be closed.
			later = &fileContent{dir: w.root, base: name, name: name, info: info, left: e.Size}
		}
	}
	if text == nil {
		if e.Xattrs, err = fileXattrs(handle, base); err != nil {
			return w.lost(name, unreadable(name, fmt.Errorf("reading its extended attributes: %w", err)))
		}
	}
	if err := checkXattrs(e.Xattrs); err != nil {
		return w.lost(name, fmt.Errorf("reading %s: %w", quote(name), err))
	}
	b.add(e, text, later)
	return nil
}

// small reads a small file into the batch, with its attributes. It returns nil
// for all others, and for those that cannot be opened now: nobody may want them.
func (w *dirWalk) small(b *batch, handle *os.File, e *Entry, base string, info fs.FileInfo) ([]byte, error) {
	if e.Size == 0 || e.Size > aheadFile || !w.wanted(e.Name) {
		return nil, nil
	}
	f, ok := openSmall(handle, base)
	if !ok {
		return nil, nil
	}
	defer f.close()
	n := len(b.text)
	text := b.text[n : n+int(e.Size)]
	if !f.is(info) {
		return nil, changed(e.Name)
	}
	err := f.read(text)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil && !f.is(info):
		return nil, changed(e.Name)
	case err != nil:
		return nil, unreadable(e.Name, err)
	}
	if e.Xattrs, err = f.xattrs(); err != nil {
		return nil, unreadable(e.Name, fmt.Errorf("reading its extended attributes: %w", err))
	}
	b.text = b.text[:n+int(e.Size)]
	return text, nil
}

// entry fills in all but the extended attributes.
func (w *dirWalk) entry(dir *os.Root, base, name string, info fs.FileInfo) (e *Entry, skip bool, err error) {
	if len(name) > maxName {
		return nil, false, fmt.Errorf("reading %s: the name is longer than %d bytes", quote(name), maxName)
	}
	about, kind, skip, err := mark(name)
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", quote(name), err)
	}
	if skip || kind != 0 {
		return &Entry{Name: about, Kind: kind}, skip, nil
	}
	e = &Entry{Name: name, Mode: permissionsOf(info.Mode())}
	e.Sec, e.Nsec = info.ModTime().Unix(), uint32(info.ModTime().Nanosecond())
	id, names := identify(info, e)
	switch t := info.Mode().Type(); t {
	case 0:
		e.Kind, e.Size = Regular, info.Size()
		err = checkSize(e.Size)
	case fs.ModeDir:
		e.Kind = Directory
	case fs.ModeSymlink:
		e.Kind = Symlink
		if e.Target, err = dir.Readlink(base); err != nil {
			return nil, false, unreadable(name, err)
		}
	case fs.ModeNamedPipe:
		e.Kind = Fifo
	case fs.ModeDevice | fs.ModeCharDevice:
		e.Kind = Char
	case fs.ModeDevice:
		e.Kind = Block
	default:
		err := fmt.Errorf("reading %s: it is a %s, which an image cannot hold", quote(name), typeName(t))
		return nil, false, hint.Wrap(err, "remove it from the folder: the program that uses it makes it anew")
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", quote(name), err)
	}
	if names > 1 && e.Kind != Directory {
		if first, known := w.links[id]; known {
			return &Entry{Name: name, Kind: HardLink, Link: first}, false, nil
		}
		w.links[id] = name
	}
	return e, false, nil
}

func permissionsOf(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for special, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&special != 0 {
			bits |= bit
		}
	}
	return bits
}

func typeName(t fs.FileMode) string {
	if t == fs.ModeSocket {
		return "socket"
	}
	return "file of unknown kind (" + t.String() + ")"
}

func changed(name string) error {
	return hint.Wrap(fmt.Errorf("reading %s: it changed while it was read", quote(name)),
		"stop what writes to the folder, and try again")
}

func unreadable(name string, err error) error {
	wrapped := fmt.Errorf("reading %s: %w", quote(name), err)
	if errors.Is(err, fs.ErrPermission) {
		return hint.Wrap(wrapped, "make it readable for you, or run as its owner")
	}
	return wrapped
}
