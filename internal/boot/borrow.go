package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/store"
)

// borrowedAt is where the images of a store lie in memory, as they do in the store,
// for a boot that formats the partition with the node's state: while that was mounted,
// or one of its images merged, it could not.
const borrowedAt = "run/inlay/reset"

// borrow copies what this boot uses of the stores below from into memory, as far as
// that has room.
func (p *pass) borrow(ctx context.Context, from *os.Root) (*os.Root, error) {
	if err := p.System.MkdirAll(borrowedAt, 0o700); err != nil {
		return nil, err
	}
	to, err := p.System.OpenRoot(borrowedAt)
	if err != nil {
		return nil, err
	}
	for _, k := range p.Kinds {
		err := p.eachWanted(from, k, func(s *store.Store, im store.Image) error { return p.borrowOne(ctx, s, im, to, k) })
		if err != nil {
			return nil, errors.Join(fmt.Errorf("copying extensions into memory: %w", err), to.Close())
		}
	}
	return to, nil
}

// borrowOne copies an image, and the links to it. One that was copied before stays, as
// it may be merged.
func (p *pass) borrowOne(ctx context.Context, s *store.Store, im store.Image, to *os.Root, k extension.Kind) error {
	if im.Missing {
		return nil
	}
	at := path.Join(k.Store, im.FileName)
	info, err := to.Lstat(at)
	if err != nil || info.Size() != im.Size || !info.ModTime().Equal(im.ModTime) {
		err := roomFor(p.System, im.Size)
		if err == nil {
			err = copyImage(ctx, s, im, to, at)
		}
		if err != nil { // its neighbours go on
			p.problem("%s is not used: a reset formats the partition that it lies on, and it cannot be copied into memory: %v", im.FileName, err)
			return nil
		}
	}
	for _, profile := range im.Profiles {
		link := path.Join(k.Store, string(profile), im.FileName)
		if err := to.MkdirAll(path.Dir(link), 0o755); err != nil {
			return err
		}
		if err := to.Symlink("../"+im.FileName, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func copyImage(ctx context.Context, s *store.Store, im store.Image, to *os.Root, at string) (err error) {
	f, err := s.OpenImage(im)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := to.MkdirAll(path.Dir(at), 0o755); err != nil {
		return err
	}
	if err := to.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	copied, err := to.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(copied, io.LimitReader(content.Until(ctx, f), im.Size))
	if err == nil && n != im.Size {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, copied.Close()); err == nil {
		err = to.Chtimes(at, im.ModTime, im.ModTime)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copying %q: %w", im.FileName, err), to.Remove(at))
	}
	return nil
}

// roomFor refuses what takes more than half of what /run has room for: others need
// some, too.
func roomFor(system *os.Root, size int64) error {
	f, err := system.Open("run")
	if err != nil {
		return err
	}
	defer f.Close()
	var v unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &v); err != nil {
		return fmt.Errorf("looking for room in /run: %w", err)
	}
	if most := int64(v.Bavail) * v.Bsize / 2; size > most { //nolint:gosec // no memory is that large
		return fmt.Errorf("it has %d bytes, and at most %d may be used", size, most)
	}
	return nil
}
