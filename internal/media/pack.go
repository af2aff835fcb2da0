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

// directSize is above what content is not compressed in memory.
const directSize = 4 * frameSize

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
