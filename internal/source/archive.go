package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

const (
	// maxMembers bounds the index of an image archive: far above what
	// maxLayers layers with their configurations need. An archive with more
	// members than that is taken for a bare layer.
	maxMembers = 16 * maxLayers
	// maxLinkHops bounds links to links inside an archive.
	maxLinkHops = 8
)

// archive is an uncompressed tar with the places of its members: what lies in
// it is read where it lies.
type archive struct {
	r       io.ReaderAt
	size    int64
	members map[string]member
}

// member is a regular file (link == "") or a link inside the archive. Docker
// writes symbolic links where two images share a layer.
type member struct {
	offset, size int64
	link         string // cleaned name that it stands for
}

// errBareLayer tells that a tar is a layer rather than an archive of an image.
var errBareLayer = errors.New("a bare layer")

// indexArchive reads the headers only, skipping from one to the next. It
// returns errBareLayer as soon as a member shows that this is a root file system.
func indexArchive(ctx context.Context, r io.ReaderAt, size int64) (*archive, error) {
	section := io.NewSectionReader(r, 0, size)
	a := &archive{r: r, size: size, members: map[string]member{}}
	headers := tar.NewReader(section) // seeks over content, as section can
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		h, err := headers.Next()
		if atEnd(err) {
			return a, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return nil, err
		}
		if isRootName(h.Name) || len(a.members) == maxMembers {
			return nil, errBareLayer
		}
		name := cleanMember(h.Name)
		m := member{size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg:
			// The headers are read without a buffer, so the content is next.
			if m.offset, err = section.Seek(0, io.SeekCurrent); err != nil {
				return nil, err
			}
		case tar.TypeLink:
			m.link = cleanMember(h.Linkname)
		case tar.TypeSymlink:
			m.link = cleanMember(path.Join(path.Dir(name), h.Linkname))
		default:
			continue
		}
		if _, twice := a.members[name]; twice && m.link == "" {
			return nil, fmt.Errorf("the archive holds %q twice", clip(name))
		}
		a.members[name] = m
	}
}

func cleanMember(name string) string {
	return strings.TrimPrefix(path.Join("/", name), "/")
}

// isRootName tells whether a member shows that its archive is a layer: no
// archive of an image has one of these at its top.
func isRootName(name string) bool {
	top, _, _ := strings.Cut(cleanMember(name), "/")
	switch top {
	case "usr", "etc", "opt", "var", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec",
		"boot", "dev", "home", "media", "mnt", "proc", "root", "run", "srv", "sys", "tmp":
		return true
	}
	return strings.HasPrefix(path.Base(top), ".wh.")
}

// isArchiveName tells whether a member shows that its archive is one of an image.
func isArchiveName(name string) bool {
	switch name = cleanMember(name); name {
	case "manifest.json", "repositories", "oci-layout", "index.json", "blobs", "blobs/sha256":
		return true
	}
	_, err := ParseDigest(digestPrefix + strings.TrimPrefix(name, "blobs/sha256/"))
	return err == nil && strings.HasPrefix(name, "blobs/")
}

// find follows links to the regular file that name stands for.
func (a *archive) find(name string) (member, error) {
	for range maxLinkHops {
		m, ok := a.members[name]
		if !ok {
			return member{}, fmt.Errorf("the archive does not hold %q: %w", clip(name), fs.ErrNotExist)
		}
		if m.link == "" {
			return m, nil
		}
		name = m.link
	}
	return member{}, fmt.Errorf("the archive's links run in circles at %q", clip(name))
}

func (a *archive) has(name string) bool {
	_, err := a.find(name)
	return err == nil
}

// file implements files.
func (a *archive) file(name string) (io.ReadCloser, error) {
	m, err := a.find(cleanMember(name))
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(a.r, m.offset, m.size)), nil
}
