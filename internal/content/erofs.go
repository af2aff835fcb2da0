package content

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/erofs/go-erofs"
	"golang.org/x/sys/unix"
)

// erofsFile is a file in an EROFS. The library knows files by their path.
type erofsFile struct {
	files fs.FS
	path  string
	entry fs.DirEntry // what the folder says of it; nil for the root
	inode int64       // once it was read
}

func openEROFS(r io.ReaderAt, size int64) (node, error) {
	if feature := erofsFeature(r); feature != "" {
		return nil, &Unread{"erofs", feature}
	}
	files, err := erofs.Open(padded{r, size})
	if err != nil {
		return nil, err
	}
	return &erofsFile{files: files, path: "."}, nil
}

// erofsFeature names what the library does not read: most of it would only
// show in the middle of a file.
func erofsFeature(r io.ReaderAt) string {
	b := make([]byte, 128)
	if _, err := r.ReadAt(b, 1024); err != nil {
		return "" // the library says it better
	}
	incompat, algorithms, devices := binary.LittleEndian.Uint32(b[80:]), binary.LittleEndian.Uint16(b[84:]), binary.LittleEndian.Uint16(b[86:])
	const configurations = 0x2
	switch {
	case incompat&configurations != 0 && algorithms != 0:
		var names []string
		for bit, name := range []string{"LZ4", "LZMA", "DEFLATE", "Zstandard"} {
			if algorithms&(1<<bit) != 0 {
				names = append(names, name)
			}
		}
		return strings.Join(append(names, "compression"), " ")
	case algorithms != 0:
		// Before there was a choice, this was how far back LZ4 looks.
		return "LZ4 compression"
	case devices != 0:
		return "data on other devices"
	}
	for _, known := range []struct {
		bit  uint32
		name string
	}{
		{0x1, "compression"},
		{configurations, "compression"},
		{0x10, "compressed tails"},
		{0x20, "packed fragments"},
		{erofs48Bit, "48-bit block numbers"},
		{0x100, "a metadata inode"},
	} {
		if incompat&known.bit != 0 {
			return known.name
		}
	}
	if unknown := incompat &^ 0x4c; unknown != 0 { // chunks, devices, attribute prefixes
		return fmt.Sprintf("features %#x", unknown)
	}
	return ""
}

// padded ends in zeros: the library reads the whole block that an attribute is
// in, also where the file system ends before.
type padded struct {
	r    io.ReaderAt
	size int64
}

func (p padded) ReadAt(b []byte, off int64) (int, error) {
	const padding = 64 << 10 // its largest block
	if off < 0 || off >= p.size || off+int64(len(b)) <= p.size || off+int64(len(b)) > p.size+padding {
		return p.r.ReadAt(b, off)
	}
	n, err := p.r.ReadAt(b[:p.size-off], off)
	if n < int(p.size-off) {
		return n, err
	}
	clear(b[n:])
	return len(b), nil
}

// id is called after stat, which learns it.
func (e *erofsFile) id() any { return e.inode }

func (e *erofsFile) stat() (*File, error) {
	info, err := e.info()
	if err != nil {
		return nil, err
	}
	s, ok := info.Sys().(*erofs.Stat)
	if !ok {
		return nil, errors.New("the reader tells no attributes")
	}
	e.inode = s.Ino
	mode := posixMode(s.Mode)
	if e.entry != nil && posixMode(e.entry.Type()) != mode&TypeMask {
		return nil, errors.New("folder and inode disagree about its type")
	}
	f := &File{
		Mode: mode, UID: s.UID, GID: s.GID, Size: s.Size, Links: s.Nlink,
		MTime: time.Unix(int64(s.Mtime), int64(s.MtimeNs)),
		Major: unix.Major(uint64(s.Rdev)), Minor: unix.Minor(uint64(s.Rdev)),
	}
	for name, value := range s.Xattrs {
		// The library has a dot after a name that has nothing after it.
		f.Xattrs = append(f.Xattrs, Xattr{strings.TrimSuffix(name, "."), []byte(value)})
	}
	if f.Type() == TypeLink {
		f.Target, err = fs.ReadLink(e.files, e.path)
	}
	return f, err
}

func (e *erofsFile) info() (fs.FileInfo, error) {
	if e.entry != nil {
		return e.entry.Info()
	}
	return fs.Lstat(e.files, e.path)
}

// batch is how many names of a folder are asked for at a time.
const batch = 4096

func (e *erofsFile) children() ([]child, error) {
	opened, err := e.files.Open(e.path)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	//nolint:errcheck // closing what was only read says nothing new
	defer opened.Close()
	folder, ok := opened.(fs.ReadDirFile)
	if !ok {
		return nil, errors.New("it is no folder")
	}
	var list []child
	for {
		entries, err := folder.ReadDir(batch)
		for _, entry := range entries {
			name := entry.Name()
			// EROFS looks names up by halving, so that what is out of order
			// would be there for some and not for others.
			if len(list) > 0 && name <= list[len(list)-1].name {
				return nil, fmt.Errorf("%q is out of order", name)
			}
			list = append(list, child{name, &erofsFile{files: e.files, path: below(e.path, name), entry: entry}})
		}
		switch {
		case errors.Is(err, io.EOF), err == nil && len(entries) == 0:
			return list, nil
		case err != nil:
			return nil, unreadEROFS(err)
		case len(list) > maxFiles:
			return nil, fmt.Errorf("more than %d files in a folder", maxFiles)
		}
	}
}

func (e *erofsFile) open() (io.ReadCloser, error) {
	f, err := e.files.Open(e.path)
	if err != nil {
		return nil, unreadEROFS(err)
	}
	return erofsContent{f}, nil
}

// erofsContent is the content of a file.
type erofsContent struct{ fs.File }

func (c erofsContent) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	return n, unreadEROFS(err)
}

// unreadEROFS names what only shows at a file.
func unreadEROFS(err error) error {
	if errors.Is(err, erofs.ErrNotImplemented) {
		return &Unread{"erofs", "compressed files"}
	}
	return err
}

// posixMode is a mode of Go's as POSIX has it.
func posixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, special := range []struct {
		bit   fs.FileMode
		posix uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&special.bit != 0 {
			mode |= special.posix
		}
	}
	switch m.Type() {
	case 0:
		mode |= TypeRegular
	case fs.ModeDir:
		mode |= TypeFolder
	case fs.ModeSymlink:
		mode |= TypeLink
	case fs.ModeDevice | fs.ModeCharDevice:
		mode |= TypeChar
	case fs.ModeDevice:
		mode |= TypeBlock
	case fs.ModeNamedPipe:
		mode |= TypeFIFO
	case fs.ModeSocket:
		mode |= TypeSocket
	}
	return mode
}
