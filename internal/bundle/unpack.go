package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/source"
)

// Options say how to unpack.
type Options struct {
	// Replace takes the place of whatever folder is there, and unpacks anew what is
	// there already.
	Replace bool
	// NoSameOwner gives all files to who runs this, and leaves out what only root
	// can make.
	NoSameOwner bool
	// Machine is the root of the system that the folder is for: by its os-release
	// and what it has merged the result is judged. nil means that nobody asks.
	Machine      *os.Root
	Architecture string // of the machine, in systemd's words
	// SignedOnly says why the machine lets in signed extensions only, "" if it
	// doesn't. A folder cannot be signed.
	SignedOnly string
	// NoOldFolders says that the machine doesn't look where systemd did up to 253.
	NoOldFolders bool

	noExchange bool // for tests: the file system cannot exchange two folders
}

// Result says what was unpacked.
type Result struct {
	Path string `json:"path"`
	// Same says that nothing was done: the folder holds these images already.
	Same     bool            `json:"same"`
	Replaced bool            `json:"replaced"` // a folder was there before
	Digests  []source.Digest `json:"digests,omitempty"`
	Counts   *Counts         `json:"counts,omitempty"` // absent if nothing was done
	Use      *Use            `json:"extension,omitempty"`
	Notes    []string        `json:"notes,omitempty"`
}

// Unpack lays all layers of parts, the lowest first, into the place. The folder
// appears complete, or what was there stays. Errors include *BusyError,
// *OccupiedError and, wrapped, those of the source.
func Unpack(ctx context.Context, to *Place, parts []Part, o Options) (result *Result, err error) {
	at, err := to.open()
	if err != nil {
		return nil, err
	}
	defer at.close()
	defer func() {
		if err != nil {
			at.takeBack()
		}
	}()
	result = &Result{Path: to.Path}
	for _, p := range parts {
		if p.Image.Digest != "" {
			result.Digests = append(result.Digests, p.Image.Digest)
		}
	}
	want := recordOf(parts, o.NoSameOwner)
	result.Replaced, err = at.occupied()
	if err == nil && !result.Replaced {
		if err = at.recover(o.Machine); err == nil {
			result.Replaced, err = at.occupied()
		}
	}
	if err != nil {
		return nil, err
	}
	if result.Same, err = at.same(result.Replaced, want, o); err != nil {
		return nil, err
	}
	if result.Same {
		result.Replaced = false
		return result, result.judge(ctx, to, o)
	}
	if err := at.room(parts); err != nil {
		return nil, err
	}
	if err := result.unpack(ctx, at, parts, want, o); err != nil {
		return nil, err
	}
	return result, result.judge(ctx, to, o)
}

// same says whether the place holds already what is wanted. If it holds what may not
// be replaced, the error is an *OccupiedError.
func (o *opened) same(there bool, want *record, how Options) (bool, error) {
	if !there || how.Replace {
		return false, nil
	}
	has, ours := readRecord(o.handle, o.name)
	if !ours {
		return false, hint.Wrap(&OccupiedError{o.Path}, "name another folder, remove this one, or pass --replace to put the image in its place")
	}
	return has.holds(want), nil
}

// look says what Unpack would do: Unpacked or Same. It makes nothing.
func (p *Place) look(parts []Part, o Options) (string, error) {
	if _, err := p.root.Lstat(p.full()); errors.Is(err, fs.ErrNotExist) {
		return Unpacked, nil
	}
	at, err := p.open()
	if err != nil {
		return Failed, err
	}
	defer at.close()
	there, err := at.occupied()
	if err != nil {
		return Failed, err
	}
	same, err := at.same(there, recordOf(parts, o.NoSameOwner), o)
	if same {
		return Same, nil
	}
	return Unpacked, err
}

func (r *Result) unpack(ctx context.Context, at *opened, parts []Part, want *record, o Options) error {
	s, err := at.stage(o.Machine)
	if err != nil {
		return err
	}
	var since time.Time
	if info, err := at.folder.Lstat(at.name); err == nil {
		since = changed(info)
	}
	a := &attributes{mine: o.NoSameOwner}
	r.Counts, err = s.fill(ctx, parts, a)
	if err == nil {
		if recordErr := want.write(s.lock, newTree); recordErr != nil {
			r.Notes = append(r.Notes, fmt.Sprintf("the file system takes no note of what was unpacked (%v): the next time it will be unpacked again", recordErr))
		}
	}
	if err == nil {
		s.noExchange = o.noExchange
		err = s.commit()
	}
	if err != nil {
		return errors.Join(err, s.end())
	}
	r.Notes = append(r.Notes, a.notes()...)
	if r.Replaced {
		kept, err := s.keep(since)
		if kept {
			r.Notes = append(r.Notes, fmt.Sprintf("what was there before is merged now: it stays so until the next merge, and in %q until it is unpacked again after that", s.path()))
		}
		if err != nil {
			return errors.Join(err, s.leave())
		}
	}
	// It has appeared: what cannot be cleared now, the next command clears.
	_ = s.end()
	return nil
}

// room refuses to begin what is sure not to fit: what is stored, compressed or
// not, takes no less when it is unpacked.
func (o *opened) room(parts []Part) error {
	var need int64
	for _, p := range parts {
		for _, l := range p.Image.Layers {
			need += max(l.Size, 0)
		}
	}
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(o.handle.Fd()), &s); err != nil {
		return nil //nolint:nilerr // what cannot be asked, writing will tell
	}
	free := int64(s.Bavail) * s.Bsize
	if os.Geteuid() == 0 {
		free = int64(s.Bfree) * s.Bsize
	}
	if need <= free {
		return nil
	}
	return hint.Wrap(fmt.Errorf("unpacking to %q takes at least %d bytes, and %d are free: %w", o.Path, need, free, unix.ENOSPC),
		"free some space, or name a folder on another file system")
}
