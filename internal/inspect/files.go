package inspect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/erofs/go-erofs"
	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/osrelease"
)

// Bounds on what a listing takes from a hostile image.
const (
	maxFiles = 4_000_000
	maxDepth = 512
)

// fileSystem reads the release file and, if asked, the list of files.
func (r *Report) fileSystem(section *io.SectionReader, o Options) {
	err := r.readFiles(section, o)
	if err != nil {
		r.unread("files", err)
	}
}

func (r *Report) readFiles(section *io.SectionReader, o Options) (err error) {
	kind := fileSystemOf(section)
	if kind != "erofs" {
		return fmt.Errorf("the file system is %q, which inlay does not read", kind)
	}
	// The reader is another's, and the image may be anyone's.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file system is damaged: %v", p)
		}
	}()
	files, err := erofs.Open(section)
	if err != nil {
		return fmt.Errorf("opening the file system: %w", err)
	}
	if err := r.release(files); err != nil {
		return err
	}
	if o.Files {
		return r.list(files)
	}
	return nil
}

// release finds the release file, which tells the kind and the name: of
// several, the one for the name that the image goes by.
func (r *Report) release(files fs.FS) error {
	for _, k := range extension.Kinds() {
		names, err := releaseNames(files, k)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			continue
		}
		if r.Kind == "" || strings.HasSuffix(r.Name, k.Suffix) {
			r.Kind = k.Name
		}
		name := names[0]
		if own := extension.TrimSuffix(r.Name); slices.Contains(names, own) {
			name = own
		} else if len(names) > 1 {
			r.unread("release file", fmt.Errorf("there are %d, none of them for %q", len(names), own))
			continue
		}
		text, err := readSmall(files, k.ReleaseFile(name))
		if err != nil {
			return err
		}
		if r.Kind == k.Name {
			r.ExtensionName = name
		}
		r.setRelease(k, text)
	}
	if r.Kind == "" {
		r.unread("release file", errors.New("there is none: no system merges this image"))
	}
	return nil
}

// releaseNames lists the names that the image's release files of a kind are for.
func releaseNames(files fs.FS, k extension.Kind) ([]string, error) {
	entries, err := fs.ReadDir(files, k.ReleaseFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", "/"+k.ReleaseFolder, err)
	}
	var names []string
	for _, e := range entries {
		if name, found := strings.CutPrefix(e.Name(), extension.ReleasePrefix); found {
			names = append(names, name)
		}
	}
	return names, nil
}

func (r *Report) setRelease(k extension.Kind, text []byte) {
	parsed, err := osrelease.Parse(text)
	if err != nil {
		r.unread("release file", err)
		return
	}
	if k.Configuration {
		r.ConfextRelease = parsed.Lines()
	} else {
		r.SysextRelease = parsed.Lines()
	}
}

func readSmall(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", "/"+name, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, osrelease.MaxSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("reading %q: %w", "/"+name, err)
	}
	return text, nil
}

// list fills Files with every name, in bytewise order of paths.
func (r *Report) list(files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("reading %q: %w", "/"+name, err)
		case len(r.Files) == maxFiles || strings.Count(name, "/") > maxDepth:
			return fmt.Errorf("listing stops at %q: more than %d files, or %d folders deep", "/"+name, maxFiles, maxDepth)
		case name == ".":
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("reading %q: %w", "/"+name, err)
		}
		f := File{Path: "/" + name, Mode: modeText(info.Mode()), Size: info.Size(), MTime: info.ModTime().UTC(), Links: 1}
		if stat, ok := info.Sys().(*erofs.Stat); ok {
			f.describe(stat)
		}
		if links, ok := files.(fs.ReadLinkFS); ok && info.Mode()&fs.ModeSymlink != 0 {
			if f.Target, err = links.ReadLink(name); err != nil {
				return fmt.Errorf("reading %q: %w", "/"+name, err)
			}
		}
		r.Files = append(r.Files, f)
		return nil
	})
}

func (f *File) describe(stat *erofs.Stat) {
	// The mode of fs.FileInfo lacks setuid and its kin, stat's has them.
	f.Mode, f.UID, f.GID, f.Links = modeText(stat.Mode), stat.UID, stat.GID, stat.Nlink
	f.MTime = time.Unix(int64(stat.Mtime), int64(stat.MtimeNs)).UTC()
	if stat.Mode&fs.ModeDevice != 0 {
		f.Size, f.Device = 0, fmt.Sprintf("%d:%d", unix.Major(uint64(stat.Rdev)), unix.Minor(uint64(stat.Rdev)))
	}
	for name := range stat.Xattrs {
		f.Xattrs = append(f.Xattrs, name)
	}
	slices.Sort(f.Xattrs)
}

// fileSystemOf knows a file system by its magic number, in the word of
// blkid(8), or returns "".
func fileSystemOf(section io.ReaderAt) string {
	for _, known := range []struct {
		name  string
		at    int64
		magic string
	}{
		{"erofs", 1024, "\xe2\xe1\xf5\xe0"},
		{"squashfs", 0, "hsqs"},
		{"ext4", 1080, "\x53\xef"},
		{"btrfs", 65600, "_BHRfS_M"},
		{"xfs", 0, "XFSB"},
	} {
		b := make([]byte, len(known.magic))
		if _, err := section.ReadAt(b, known.at); err == nil && string(b) == known.magic {
			return known.name
		}
	}
	return ""
}
