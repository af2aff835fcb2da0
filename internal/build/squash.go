package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/ddi"
	"inlay/internal/hint"
	"inlay/internal/stage"
	"inlay/internal/tree"
)

// squashPacker makes a squashfs with mksquashfs(1), which wants the whole tree
// as one tar stream. So the content waits in a spool until the tree is known.
type squashPacker struct {
	program string
	data    *ddi.Data
	epoch   time.Time
	spool   *stage.File
	size    int64 // of the spool
	image   *stage.File
}

// newSquashPacker makes a packer whose two files live, nameless, in folder.
func newSquashPacker(data *ddi.Data, epoch *time.Time, folder string) (packer, error) {
	program, err := exec.LookPath("mksquashfs")
	if err != nil {
		return nil, hint.Wrap(errors.New("mksquashfs is not installed"), "apt-get install squashfs-tools, or build with --filesystem erofs")
	}
	p := &squashPacker{program: program, data: data, epoch: time.Unix(0, 0)}
	if epoch != nil {
		p.epoch = *epoch
	}
	if p.spool, err = stage.Create(filepath.Join(folder, "squashfs-spool"), 0o600); err != nil {
		return nil, err
	}
	if p.image, err = stage.Create(filepath.Join(folder, "squashfs-image"), 0o600); err != nil {
		p.spool.Discard()
		return nil, err
	}
	return p, nil
}

// Store implements tree.Sink.
func (p *squashPacker) Store(_ string, ino *tree.Inode, r io.Reader) error {
	n, err := io.Copy(p.spool, io.LimitReader(r, ino.Size))
	if err == nil && n != ino.Size {
		err = io.ErrUnexpectedEOF
	}
	ino.Ref = uint64(p.size)
	p.size += n
	return err
}

// Pack implements packer.
func (p *squashPacker) Pack(ctx context.Context, t *tree.Tree) (int64, error) {
	// The image has no name; the program reaches it as its descriptor 3.
	c := exec.CommandContext(ctx, p.program, "-", "/proc/self/fd/3", "-tar", "-noappend", "-quiet", "-no-progress",
		"-reproducible", "-root-mode", "0755", "-root-uid", "0", "-root-gid", "0")
	c.ExtraFiles = []*os.File{p.image.File}
	// It stamps the root with the time of day, -root-time or not (4.5 does, with
	// a tar), unless that is after SOURCE_DATE_EPOCH. Files are clamped, too: no
	// file may be newer than what is passed here.
	c.Env = []string{"LC_ALL=C", "SOURCE_DATE_EPOCH=" + strconv.FormatInt(p.newest(t), 10)}
	var said bytes.Buffer
	c.Stderr = &said
	input, err := c.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := c.Start(); err != nil {
		return 0, fmt.Errorf("starting mksquashfs: %w", err)
	}
	writeErr := errors.Join(p.writeTar(input, t), input.Close())
	waitErr := c.Wait()
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case waitErr != nil && (writeErr == nil || errors.Is(writeErr, unix.EPIPE)):
		err := fmt.Errorf("packing with mksquashfs: %w", waitErr)
		if last := lastLine(said.String()); last != "" {
			err = fmt.Errorf("%w: %s", err, last)
		}
		return 0, hint.Wrap(err, "try a newer squashfs-tools (4.5 or later reads tars), or build with --filesystem erofs")
	case writeErr != nil:
		return 0, fmt.Errorf("packing with mksquashfs: %w", writeErr)
	}
	return p.copyImage()
}

// newest returns the time of the newest file, or the build's if that is later,
// as far as squashfs can hold it.
func (p *squashPacker) newest(t *tree.Tree) int64 {
	seconds := p.epoch.Unix()
	for _, ino := range t.All() {
		seconds = max(seconds, ino.Sec)
	}
	return min(max(seconds, 0), math.MaxUint32)
}

// copyImage moves the finished file system into the image, block by block.
func (p *squashPacker) copyImage() (int64, error) {
	info, err := p.image.Stat()
	if err != nil {
		return 0, err
	}
	r := io.NewSectionReader(p.image, 0, info.Size())
	var off int64
	for off < info.Size() {
		buf := p.data.Buffer()
		n, err := io.ReadFull(r, buf)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, fmt.Errorf("reading what mksquashfs made: %w", err)
		}
		whole := (n + ddi.Grain - 1) / ddi.Grain * ddi.Grain
		clear(buf[n:whole])
		if err := p.data.Write(buf[:whole], off); err != nil {
			return 0, err
		}
		off += int64(whole)
	}
	return off / ddi.Grain, nil
}

// maxShortLink is the longest target that needs no extension of the tar format.
const maxShortLink = 100

// writeTar streams the tree as mksquashfs reads it.
func (p *squashPacker) writeTar(w io.Writer, t *tree.Tree) error {
	out := tar.NewWriter(w)
	first := map[*tree.Inode]string{}
	for name, ino := range t.All() {
		if name == "" {
			continue
		}
		header := p.header(name, ino)
		if strings.HasPrefix(ino.Target, "/") && len(ino.Target) > maxShortLink && header.Format != tar.FormatGNU {
			return hint.Wrap(fmt.Errorf("mksquashfs cannot hold the symlink %q, with a long target and attributes", "/"+name), "build with --filesystem erofs")
		}
		if ino.Links > 1 {
			if target, again := first[ino]; again {
				header.Typeflag, header.Linkname, header.Size, header.PAXRecords = tar.TypeLink, target, 0, nil
			} else {
				first[ino] = name
			}
		}
		if err := out.WriteHeader(header); err != nil {
			return fmt.Errorf("passing on %q: %w", "/"+name, err)
		}
		if header.Size == 0 {
			continue
		}
		if _, err := io.Copy(out, io.NewSectionReader(p.spool, int64(ino.Ref), ino.Size)); err != nil {
			return fmt.Errorf("passing on %q: %w", "/"+name, err)
		}
	}
	return out.Close()
}

func (p *squashPacker) header(name string, ino *tree.Inode) *tar.Header {
	h := &tar.Header{
		Format: tar.FormatPAX, Name: name, Mode: int64(ino.Mode & 0o7777),
		Uid: int(ino.UID), Gid: int(ino.GID), ModTime: time.Unix(ino.Sec, 0),
		Devmajor: int64(ino.Major), Devminor: int64(ino.Minor), Linkname: ino.Target,
	}
	switch ino.Kind() {
	case tree.Directory:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case tree.Regular:
		h.Typeflag, h.Size = tar.TypeReg, ino.Size
	case tree.Symlink:
		h.Typeflag = tar.TypeSymlink
	case tree.Char:
		h.Typeflag = tar.TypeChar
	case tree.Block:
		h.Typeflag = tar.TypeBlock
	case tree.Fifo:
		h.Typeflag = tar.TypeFifo
	}
	if strings.HasPrefix(ino.Target, "/") && len(ino.Xattrs) == 0 {
		// mksquashfs (4.5 and 4.6) cuts the leading slash of a PAX linkpath.
		h.Format = tar.FormatGNU
	}
	for _, x := range ino.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+x.Name] = string(x.Value)
	}
	return h
}

// Close implements packer.
func (p *squashPacker) Close() error {
	p.spool.Discard()
	p.image.Discard()
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
