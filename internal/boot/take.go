package boot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/content"
	"inlay/internal/disk"
	"inlay/internal/extension"
	"inlay/internal/mount"
	"inlay/internal/rooted"
	"inlay/internal/store"
	"inlay/internal/version"
)

// take copies one image into the store, and has its profile use it; it returns when
// all of that is on the disk. It is not judged: that is done when it is linked, and
// again in each boot. Where the store has it already, it is only enabled.
func (t *taker) take(ctx context.Context, esp *os.Root, l left) (profiles []string, err error) {
	profiles = []string{}
	if err := ctx.Err(); err != nil {
		return profiles, context.Cause(ctx)
	}
	s, err := store.Open(t.target, l.kind, store.Options{})
	if err != nil {
		return profiles, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := lasting(t.target, t.system, s.Path()); err != nil {
		return profiles, err
	}
	f, err := rooted.Open(esp, l.path)
	if err != nil {
		return profiles, fmt.Errorf("opening %q: %w", l.path, err)
	}
	defer f.Close()
	if !t.dryRun {
		unlock, err := s.Lock(ctx, lockWait, "inlay boot")
		if err != nil {
			return profiles, err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	images, err := s.Images()
	if err != nil {
		return profiles, err
	}
	enable := []store.Profile{l.profile}
	if by := newer(images, l); by != "" {
		enable = nil
		t.problems = append(t.problems, fmt.Sprintf("%s is in the store and not enabled: %s, which is newer, is there, too", l.fileName, by))
	}
	there, err := t.there(ctx, s, images, l, f)
	if err != nil {
		return profiles, err
	}
	if !t.dryRun {
		if err := t.change(ctx, s, there, l, f, enable); err != nil {
			return profiles, err
		}
	}
	for _, profile := range enable {
		profiles = append(profiles, string(profile))
	}
	return profiles, nil
}

// change is one change of the store, on the disk when it returns.
func (t *taker) change(ctx context.Context, s *store.Store, there *store.Image, l left, f *os.File, enable []store.Profile) error {
	image := store.Image{FileName: l.fileName, Name: extension.NameOf(l.kind, l.fileName)}
	var staged *store.Staged
	var record store.Record
	if there != nil {
		image = *there
	} else {
		var err error
		if staged, record, err = t.copy(ctx, s, l, f); err != nil {
			return err
		}
		defer staged.Discard()
	}
	c, err := s.Begin()
	if err != nil {
		return err
	}
	if staged != nil {
		if err := c.Put(staged, image.FileName, record); err != nil {
			return err
		}
	}
	if len(enable) > 0 {
		if err := c.Enable([]store.Image{image}, enable); err != nil {
			return err
		}
	}
	return c.Keep()
}

// copy brings the image onto the store's file system, where nobody sees it yet. That
// there is room for it is known before the first byte.
func (t *taker) copy(ctx context.Context, s *store.Store, l left, f *os.File) (*store.Staged, store.Record, error) {
	staged, err := s.Stage(l.size)
	if err != nil {
		return nil, store.Record{}, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(staged, h), content.Until(ctx, f))
	if err == nil && n != l.size {
		err = fmt.Errorf("%q has %d bytes and gave %d", l.path, l.size, n)
	}
	if err != nil {
		staged.Discard()
		return nil, store.Record{}, fmt.Errorf("copying %q: %w", l.path, err)
	}
	return staged, store.Record{
		Digest: "sha256:" + hex.EncodeToString(h.Sum(nil)), Source: "esp:" + l.path, Fetched: t.now().UTC(),
	}, nil
}

// there returns the image of the store that the one left is; nil if it has none of
// that name. Another one of its name is an error: what the store has stays.
func (t *taker) there(ctx context.Context, s *store.Store, images []store.Image, l left, f *os.File) (*store.Image, error) {
	name := extension.NameOf(l.kind, l.fileName)
	for _, im := range images {
		if im.Missing || !strings.EqualFold(im.Name, name) {
			continue
		}
		same, err := sameBytes(ctx, s, im, l, f)
		if err != nil {
			return nil, err
		}
		if same {
			return &im, nil
		}
		if im.Name == name {
			return nil, fmt.Errorf("the store has another image of that name, %s, which stays: remove one of the two, or download this one to replace it", im.FileName)
		}
	}
	return nil, nil
}

// sameBytes compares, and sees to it that the store's is on the disk.
func sameBytes(ctx context.Context, s *store.Store, im store.Image, l left, f *os.File) (bool, error) {
	if im.Size != l.size {
		return false, nil
	}
	old, err := s.OpenImage(im)
	if err != nil {
		return false, err
	}
	defer old.Close()
	var sums [2][sha256.Size]byte
	for i, r := range []io.Reader{old, io.NewSectionReader(f, 0, l.size)} {
		h := sha256.New()
		if _, err := io.Copy(h, content.Until(ctx, r)); err != nil {
			return false, fmt.Errorf("comparing %q: %w", l.path, err)
		}
		sums[i] = [sha256.Size]byte(h.Sum(nil))
	}
	if sums[0] != sums[1] {
		return false, nil
	}
	// Who brought it may have left that to the kernel.
	return true, old.Sync()
}

// newer names the image of the store that is a later version of the one left, ""
// if there is none.
func newer(images []store.Image, l left) string {
	base, is := extension.BaseName(l.fileName), extension.VersionOf(l.fileName)
	if is == "" {
		return ""
	}
	for _, im := range images {
		if !im.Missing && im.Version != "" && extension.BaseName(im.FileName) == base && version.Compare(im.Version, is) > 0 {
			return im.FileName
		}
	}
	return ""
}

// lasting says why what is written to a folder of the target would not outlive this
// boot, or could not be written: what is taken in is gone from where it was.
func lasting(target, system *os.Root, at string) error {
	folder, at, err := nearest(target, at)
	if err != nil {
		return err
	}
	defer folder.Close()
	var v unix.Statfs_t
	if err := unix.Fstatfs(int(folder.Fd()), &v); err != nil {
		return fmt.Errorf("looking at the file system of %q: %w", "/"+at, err)
	}
	memory := inMemory(v)
	if v.Type == unix.OVERLAYFS_SUPER_MAGIC {
		memory = upperInMemory(system, path.Join("/", targetAt(system, target), at))
	}
	switch {
	case v.Flags&unix.ST_RDONLY != 0:
		return fmt.Errorf("the store's file system, that of %q, is read-only", "/"+at)
	case memory:
		return fmt.Errorf("the store lies in memory, as %q does: the file system that it belongs to is not mounted", "/"+at)
	}
	return nil
}

// nearest opens a folder, or the nearest one above it that is there.
func nearest(root *os.Root, at string) (folder *os.File, found string, err error) {
	for {
		folder, err = root.OpenFile(at, os.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil || at == "." || !errors.Is(err, fs.ErrNotExist) {
			return folder, at, err
		}
		at = path.Dir(at)
	}
}

func inMemory(v unix.Statfs_t) bool {
	return v.Type == unix.TMPFS_MAGIC || v.Type == unix.RAMFS_MAGIC
}

// upperInMemory says whether the upper folder of an overlay is lost with the power,
// or cannot be told.
func upperInMemory(system *os.Root, at string) bool {
	mounts, err := disk.Mounts(system)
	if err != nil {
		return true
	}
	over, found := mount.Covering(mounts, at)
	if !found {
		return true
	}
	for option := range strings.SplitSeq(over.Super, ",") {
		upper, ok := strings.CutPrefix(option, "upperdir=")
		if !ok {
			continue
		}
		folder, err := system.OpenFile(strings.TrimLeft(upper, "/"), os.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return true
		}
		defer folder.Close()
		var v unix.Statfs_t
		return unix.Fstatfs(int(folder.Fd()), &v) != nil || inMemory(v)
	}
	return true
}
