package tree

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"inlay/internal/hint"
)

const (
	// maxEntries bounds what one stream can make a reader do: a few kilobytes
	// of compressed zeros and headers would otherwise keep it busy for days.
	maxEntries = 4 << 20
	// maxSize bounds one file. A sparse one of any size fits in a kilobyte of
	// tar, and its holes cost time and room.
	maxSize = 1 << 40
	// Linux packs a device number into 32 bits: 12 for the major, 20 for the minor.
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

// ReadTar calls fn for each entry of the uncompressed tar stream r (ustar, PAX,
// GNU and V7 dialects), as [Layer] Walk does, and reads r to its end. Names are
// cleaned; names that leave the tree, that no file system can hold, or that are
// of an unknown type end it with an error that names the entry. Whiteouts come
// as entries of their own kind.
func ReadTar(ctx context.Context, r io.Reader, fn func(*Entry, io.Reader) error) error {
	return readTar(ctx, r, maxEntries, fn)
}

func readTar(ctx context.Context, r io.Reader, most int, fn func(*Entry, io.Reader) error) error {
	return walkTar(ctx, &archive{r: r}, r, most, fn)
}

// walkTar calls fn for the entries of all, which reads them from r.
func walkTar(ctx context.Context, all entries, r io.Reader, most int, fn func(*Entry, io.Reader) error) error {
	last := "" // the entry before, to say where a damaged archive breaks
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := all.Next()
		switch {
		case errors.Is(err, io.EOF):
			return readRest(r)
		case errors.Is(err, tar.ErrInsecurePath):
			// archive/tar is asked to warn of such names; clean judges them better.
		case err != nil:
			return damaged(last, err)
		}
		if n == most {
			return fmt.Errorf("reading tar: more than %d entries", most)
		}
		last = h.Name
		var e Entry
		skip, err := convert(h, &e)
		if err != nil {
			err = hint.Default(err, "leave it out of the archive, or make it something that Linux can have")
			return fmt.Errorf("reading tar entry %s: %w", quote(h.Name), err)
		}
		if skip {
			continue
		}
		if e.Kind != Regular {
			err = fn(&e, nil)
		} else {
			err = fn(&e, &content{all, h.Name})
		}
		if err != nil {
			return err
		}
	}
}

// content is a file's bytes in the archive; its errors name the file.
type content struct {
	r    io.Reader
	name string
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(c.name, err)
	}
	return n, err
}

// damaged says where reading the archive broke. Errors that are not of the
// archive itself (a digest that does not match, a lost connection) pass as they are.
func damaged(after string, err error) error {
	where := "at its beginning"
	if after != "" {
		where = "at or after entry " + quote(after)
	}
	wrapped := fmt.Errorf("reading tar %s: %w", where, err)
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrFieldTooLong) {
		return hint.Wrap(wrapped, "check that the file is a whole tar archive, and fetch or make it again")
	}
	return wrapped
}

// readRest reads what follows the end of the archive: the padding of a tape
// block, that is zeros.
func readRest(r io.Reader) error {
	buf := make([]byte, 16<<10)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return hint.Wrap(errors.New("reading tar: something follows the end of the archive"),
					"make one archive of what was strung together (tar --concatenate)")
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading tar after its last entry: %w", err)
		}
	}
}

// convert fills e from a tar header; skip is set for what is no entry.
func convert(h *tar.Header, e *Entry) (skip bool, err error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return true, nil // says things about the archive (git puts the commit there)
	}
	name, err := clean(h.Name)
	if err != nil {
		return false, err
	}
	about, kind, skip, err := mark(name)
	if skip || err != nil {
		return skip, err
	}
	if kind != 0 {
		*e = Entry{Name: about, Kind: kind}
		return false, nil
	}
	e.Name = name
	if e.Kind = kindOf(h.Typeflag); e.Kind == 0 {
		return false, hint.Wrap(fmt.Errorf("entries of type %q are not known", h.Typeflag),
			"make the archive again with plain files, folders, links, devices and fifos only")
	}
	if name == "" && e.Kind != Directory {
		return false, fmt.Errorf("the root cannot be a %s", e.Kind)
	}
	switch e.Kind {
	case HardLink:
		if e.Link, err = clean(h.Linkname); err != nil {
			return false, fmt.Errorf("hard link to %s: %w", quote(h.Linkname), err)
		}
		if e.Link == "" {
			return false, errors.New("hard link to the root folder")
		}
		return false, nil
	case Symlink:
		e.Target = h.Linkname
		if err := checkTarget(e.Target); err != nil {
			return false, err
		}
	case Regular:
		e.Size = h.Size
		if err := checkSize(e.Size); err != nil {
			return false, err
		}
	case Char, Block:
		if h.Devmajor < 0 || h.Devmajor > maxMajor || h.Devminor < 0 || h.Devminor > maxMinor {
			return false, fmt.Errorf("device number %d:%d is out of Linux's range", h.Devmajor, h.Devminor)
		}
		e.Major, e.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	}
	return false, attributes(h, e)
}

// attributes sets owner, mode, time and extended attributes.
func attributes(h *tar.Header, e *Entry) error {
	// 2^32-1 is "no such user" to chown, not an owner.
	if h.Uid < 0 || int64(h.Uid) >= math.MaxUint32 || h.Gid < 0 || int64(h.Gid) >= math.MaxUint32 {
		return fmt.Errorf("owner %d:%d is out of range", h.Uid, h.Gid)
	}
	e.UID, e.GID = uint32(h.Uid), uint32(h.Gid)
	e.Mode = uint32(h.Mode & permissions)
	e.Sec, e.Nsec = h.ModTime.Unix(), uint32(h.ModTime.Nanosecond())
	var err error
	e.Xattrs, err = paxXattrs(h.PAXRecords)
	return err
}

func kindOf(typeflag byte) Kind {
	switch typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse, 0:
		return Regular
	case tar.TypeLink:
		return HardLink
	case tar.TypeSymlink:
		return Symlink
	case tar.TypeChar:
		return Char
	case tar.TypeBlock:
		return Block
	case tar.TypeDir:
		return Directory
	case tar.TypeFifo:
		return Fifo
	default:
		return 0
	}
}

// checkSize refuses files that are larger than any extension has use for.
func checkSize(size int64) error {
	if size > maxSize {
		return fmt.Errorf("its size of %d bytes is more than %d", size, int64(maxSize))
	}
	return nil
}

// checkTarget refuses what no symbolic link can hold; else a target is data.
func checkTarget(target string) error {
	switch {
	case target == "":
		return errors.New("a symbolic link without a target")
	case len(target) > maxTarget:
		return fmt.Errorf("the link's target is %d bytes long, more than %d", len(target), maxTarget)
	}
	for i := range len(target) {
		if target[i] == 0 {
			return errors.New("the link's target has a NUL byte in it")
		}
	}
	return nil
}
