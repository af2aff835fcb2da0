package media

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"inlay/internal/cpio"
	"inlay/internal/tree"
)

// member is one name in an archive.
type member struct {
	name  string
	node  *tree.Inode
	links uint32 // names that the archive has for it
	inode uint32
	last  bool // of these names: it carries the content
}

// size is what follows the header, in bytes.
func (m *member) size() int64 {
	switch {
	case m.node.Kind() == tree.Symlink:
		return int64(len(m.node.Target))
	case m.node.Kind() == tree.Regular && m.last:
		return m.node.Size
	}
	return 0
}

// members lists what of a system goes into an archive, in order, and numbers
// its inodes.
func (s *System) members(keep func(name string) bool) []*member {
	var all []*member
	first := map[*tree.Inode]*member{}
	last := map[*tree.Inode]*member{}
	var inode uint32
	for name, node := range s.tree.All() {
		if !keep(name) {
			continue
		}
		if name == "" {
			name = "."
		}
		m := &member{name: name, node: node, links: 1}
		switch known := first[node]; {
		case node.Kind() == tree.Directory:
			m.links = 2
			fallthrough
		case known == nil:
			inode++
			m.inode = inode
			first[node] = m
		default:
			m.inode = known.inode
			known.links++
			last[node].last = false
		}
		m.last = true
		last[node] = m
		all = append(all, m)
	}
	for _, m := range all {
		m.links = first[m.node].links
	}
	return all
}

// frameSize is how much content is compressed on its own, in bytes: so that all
// cores have work, and always the same, so that their number changes no byte.
const frameSize = 32 << 20

// directSize is above what content is not compressed in memory.
const directSize = 4 * frameSize

// frames cuts members into runs of about so many bytes of content. The kernel
// takes an archive in several frames, if none of them ends within an entry.
func frames(all []*member, most int64) [][]*member {
	var list [][]*member
	var size int64
	begin := 0
	for i, m := range all {
		if size > 0 && size+m.size() > most {
			list = append(list, all[begin:i])
			begin, size = i, 0
		}
		size += m.size()
	}
	return append(list, all[begin:])
}

// workers is how many frames are compressed at once: one takes about 100 MiB.
func workers() int { return min(runtime.GOMAXPROCS(0), 8) }

// level is how much an initrd is compressed: what firmware loads is short of
// room, not of time.
const level = zstd.SpeedBestCompression

// windowSize of the compression. The kernel's decompressor takes up to 8 MiB in
// every version, and it is what it must allocate.
const windowSize = 8 << 20

// compressor compresses frames.
type compressor struct {
	system *System
	level  zstd.EncoderLevel
	idle   sync.Pool // of *zstd.Encoder
}

// encoder returns an idle one, for w.
func (c *compressor) encoder(w io.Writer) (*zstd.Encoder, error) {
	if e, ok := c.idle.Get().(*zstd.Encoder); ok {
		e.Reset(w)
		return e, nil
	}
	return zstd.NewWriter(w, zstd.WithEncoderLevel(c.level), zstd.WithWindowSize(windowSize),
		// More goroutines would only make the memory grow, and not change a byte.
		zstd.WithEncoderConcurrency(1))
}

// frame writes one frame, with the archive's end if it is the last.
func (c *compressor) frame(ctx context.Context, w io.Writer, run []*member, last bool) error {
	e, err := c.encoder(w)
	if err != nil {
		return err
	}
	archive := cpio.NewWriter(e)
	for _, m := range run {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.member(archive, m); err != nil {
			return err
		}
	}
	end := archive.Flush
	if last {
		end = archive.Close
	}
	if err := end(); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	c.idle.Put(e)
	return nil
}

func (c *compressor) member(archive *cpio.Writer, m *member) error {
	n := m.node
	err := archive.Header(cpio.Header{
		Name: m.name, Mode: n.Mode, UID: n.UID, GID: n.GID, MTime: n.Sec, Size: m.size(),
		Inode: m.inode, Links: m.links, Major: n.Major, Minor: n.Minor,
	})
	if err != nil || m.size() == 0 {
		return err
	}
	if n.Kind() == tree.Symlink {
		_, err := io.Copy(archive, strings.NewReader(n.Target))
		return err
	}
	f, err := c.system.open(m.name, n)
	if err != nil {
		return err
	}
	defer f.Close()
	switch copied, err := io.Copy(archive, f); {
	case err != nil:
		return fmt.Errorf("reading %q: %w", "/"+m.name, err)
	case copied != m.size():
		return fmt.Errorf("reading %q: it ends after %d of %d bytes", "/"+m.name, copied, m.size())
	}
	return nil
}

// frameJob is a frame that is being compressed.
type frameJob struct {
	run  []*member
	last bool
	out  bytes.Buffer
	done chan struct{} // nil: compress it when its turn comes
}

// write compresses all frames, on all cores, and writes them in their order.
func (c *compressor) write(ctx context.Context, w io.Writer, all []*member) error {
	group, ctx := errgroup.WithContext(ctx)
	waiting := make(chan *frameJob, workers())
	work := make(chan *frameJob)
	group.Go(func() error {
		defer close(work)
		defer close(waiting)
		return handOut(ctx, all, waiting, work)
	})
	for range workers() {
		group.Go(func() error {
			for j := range work {
				if err := c.frame(ctx, &j.out, j.run, j.last); err != nil {
					return err
				}
				close(j.done)
			}
			return nil
		})
	}
	group.Go(func() error {
		for j := range waiting {
			if err := c.finish(ctx, w, j); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// handOut puts all frames in the row, and those that fit into memory to work.
func handOut(ctx context.Context, all []*member, waiting, work chan<- *frameJob) error {
	give := func(to chan<- *frameJob, j *frameJob) error {
		select {
		case to <- j:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	list := frames(all, frameSize)
	for i, run := range list {
		j := &frameJob{run: run, last: i == len(list)-1}
		if contentOf(run) <= directSize {
			j.done = make(chan struct{})
		}
		if err := give(waiting, j); err != nil {
			return err
		}
		if j.done == nil {
			continue
		}
		if err := give(work, j); err != nil {
			return err
		}
	}
	return nil
}

// finish writes a frame whose turn it is.
func (c *compressor) finish(ctx context.Context, w io.Writer, j *frameJob) error {
	if j.done == nil {
		return c.frame(ctx, w, j.run, j.last)
	}
	select {
	case <-j.done:
		_, err := j.out.WriteTo(w)
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func contentOf(run []*member) int64 {
	var size int64
	for _, m := range run {
		size += m.size()
	}
	return size
}
