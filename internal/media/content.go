package media

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/stage"
	"inlay/internal/tree"
)

// watchedLayer tells of each entry before it is looked at.
type watchedLayer struct {
	tree.Layer
	tell func(*tree.Entry)
}

// Walk implements tree.Layer.
func (w watchedLayer) Walk(ctx context.Context, fn func(*tree.Entry, io.Reader) error) error {
	return w.Layer.Walk(ctx, func(e *tree.Entry, r io.Reader) error {
		// A copy: what transforms the entry must not change where it lies.
		was := *e
		w.tell(&was)
		return fn(e, r)
	})
}

// keeper is the tree.Sink of a system: it spools what comes out of archives and
// notes where the rest lies.
type keeper struct {
	system *System
	dir    string
	layer  int         // that is being read
	entry  *tree.Entry // of it, as the layer has it
	buffer *bufio.Writer
	size   int64
}

// spoolBuffer gathers small files; most of a system's are.
const spoolBuffer = 1 << 20

// Store implements tree.Sink.
func (k *keeper) Store(_ string, ino *tree.Inode, r io.Reader) error {
	if k.system.folders[k.layer] != nil {
		ino.Ref = uint64(len(k.system.origins))<<1 | 1
		k.system.origins = append(k.system.origins, origin{
			layer: k.layer, name: strings.Clone(k.entry.Name), size: ino.Size, sec: k.entry.Sec, nsec: k.entry.Nsec,
		})
		return nil
	}
	if err := k.start(); err != nil {
		return err
	}
	n, err := io.Copy(k.buffer, r)
	if err == nil && n != ino.Size {
		err = io.ErrUnexpectedEOF
	}
	ino.Ref = uint64(k.size) << 1
	k.size += n
	return err
}

// start makes the file without a name.
func (k *keeper) start() error {
	if k.buffer != nil {
		return nil
	}
	dir := k.dir
	if dir == "" {
		dir = os.TempDir()
	}
	file, err := stage.Create(filepath.Join(dir, "inlay-root"), 0o600)
	if err != nil {
		return hint.Wrap(err, "the output folder must exist, be writable and have room for the root file system")
	}
	k.system.spool, k.buffer = file, bufio.NewWriterSize(file, spoolBuffer)
	return nil
}

func (k *keeper) flush() error {
	if k.buffer == nil {
		return nil
	}
	return k.buffer.Flush()
}

// File is the content of one file of a system, at its start.
type File struct {
	*io.SectionReader
	Name  string      // cleaned, links resolved
	Inode *tree.Inode // its attributes
	file  *os.File    // nil for what is spooled
}

// Close closes the file. It was only read, so there is nothing to say of it.
func (f *File) Close() {
	if f.file != nil {
		f.file.Close()
	}
}

// Open opens the regular file name. Links are followed inside the system. The
// error is fs.ErrNotExist if there is no such file.
func (s *System) Open(name string) (*File, error) {
	at, ino, err := s.resolve(name)
	if err != nil {
		return nil, err
	}
	if ino.Kind() != tree.Regular {
		return nil, fmt.Errorf("opening %q: it is a %s", "/"+at, ino.Kind())
	}
	return s.open(at, ino)
}

// open opens the content of an inode; it may be called from several goroutines.
func (s *System) open(name string, ino *tree.Inode) (*File, error) {
	f := &File{Name: name, Inode: ino}
	if content, ok := s.made[ino]; ok {
		f.SectionReader = io.NewSectionReader(bytes.NewReader(content), 0, ino.Size)
		return f, nil
	}
	switch {
	case !ino.Stored && ino.Size > 0:
		return nil, fmt.Errorf("opening %q: its content was not kept", "/"+name)
	case ino.Size == 0:
		f.SectionReader = io.NewSectionReader(strings.NewReader(""), 0, 0)
	case ino.Ref&1 == 0:
		f.SectionReader = io.NewSectionReader(s.spool, int64(ino.Ref>>1), ino.Size)
	default:
		file, err := s.openOrigin(s.origins[ino.Ref>>1])
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", "/"+name, err)
		}
		f.SectionReader, f.file = io.NewSectionReader(file, 0, ino.Size), file
	}
	return f, nil
}

// openOrigin opens a file in place and sees that it is as it was.
func (s *System) openOrigin(from origin) (*os.File, error) {
	folder := s.folders[from.layer]
	listed, err := folder.Lstat(from.name)
	if err != nil {
		return nil, err
	}
	file, err := folder.OpenFile(from.name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	// A Root follows links, so a link is seen by its not being what was opened.
	if err == nil && (!os.SameFile(listed, info) || !from.matches(info)) {
		err = hint.Wrap(errors.New("it changed while it was read"), "stop what writes to the folder, and try again")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// matches says whether a file is as it was when it was listed.
func (from origin) matches(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Size() == from.size &&
		info.ModTime().Unix() == from.sec && uint32(info.ModTime().Nanosecond()) == from.nsec
}

// maxLinks is how many symbolic links one path may cross, as in Linux.
const maxLinks = 40

// resolve follows the links on the way to name, inside the system, and returns
// where that leads.
func (s *System) resolve(name string) (string, *tree.Inode, error) {
	missing := func() error { return &fs.PathError{Op: "opening", Path: "/" + name, Err: fs.ErrNotExist} }
	var at []string
	followed := 0
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			at = at[:max(len(at)-1, 0)]
			continue
		}
		here := path.Join(path.Join(at...), part)
		ino := s.tree.Lookup(here)
		if ino == nil {
			return "", nil, missing()
		}
		if ino.Kind() != tree.Symlink {
			at = append(at, part)
			continue
		}
		if followed++; followed > maxLinks {
			return "", nil, fmt.Errorf("opening %q: it leads through more than %d symbolic links", "/"+name, maxLinks)
		}
		if strings.HasPrefix(ino.Target, "/") {
			at = at[:0]
		}
		rest = ino.Target + "/" + rest
	}
	clean := path.Join(at...)
	ino := s.tree.Lookup(clean)
	if ino == nil {
		return "", nil, missing()
	}
	return clean, ino, nil
}

// Find returns the first of names that leads to a regular file, and where that
// lies; ok is false if none does.
func (s *System) Find(names ...string) (found string, ok bool) {
	for _, name := range names {
		if at, ino, err := s.resolve(name); err == nil && ino.Kind() == tree.Regular {
			return at, true
		}
	}
	return "", false
}

// ownerOf returns the number of the user that a file belongs to.
func ownerOf(info fs.FileInfo) (uint32, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok {
		return st.Uid, true
	}
	return 0, false
}
