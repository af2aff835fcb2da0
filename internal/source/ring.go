package source

import (
	"context"
	"hash"
	"io"
	"sync/atomic"
)

const (
	// chunkSize is what passes from one goroutine to the next at a time: large
	// enough that handing over costs nothing, small enough for a core's cache.
	chunkSize = 128 << 10
	// ringChunks bounds the memory of one stage of a stream (1 MiB).
	ringChunks = 8
)

// chunk is a piece of a stream that several goroutines read at once. It goes
// back to its ring when the last of them has released it.
type chunk struct {
	buf  []byte // chunkSize bytes, once used
	data []byte // the filled part of buf
	refs atomic.Int32
	ring chan *chunk
}

func (c *chunk) release() {
	if c.refs.Add(-1) == 0 {
		c.ring <- c // never blocks: the ring has room for all its chunks
	}
}

// ring copies one stream to several readers, each of which sees all of it.
// The slowest one sets the pace.
type ring struct {
	free chan *chunk
	outs []chan *chunk
}

func newRing(readers int) *ring {
	r := &ring{free: make(chan *chunk, ringChunks)}
	for range ringChunks {
		r.free <- &chunk{ring: r.free}
	}
	for range readers {
		r.outs = append(r.outs, make(chan *chunk, ringChunks))
	}
	return r
}

// pump reads src to its end. It closes the readers' channels only then: a
// reader that finds its channel closed has seen everything, whereas after an
// error or a cancelled context it finds ctx done.
func (r *ring) pump(ctx context.Context, src io.Reader) error {
	for {
		var c *chunk
		select {
		case c = <-r.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if c.buf == nil { // not before it is needed: most streams are short
			c.buf = make([]byte, chunkSize)
		}
		n, err := fill(src, c.buf)
		if n > 0 {
			c.data = c.buf[:n]
			c.refs.Store(int32(len(r.outs)))
			for _, out := range r.outs {
				out <- c // never blocks: as deep as the ring has chunks
			}
		}
		switch {
		case atEnd(err):
			for _, out := range r.outs {
				close(out)
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// fill reads until b is full or src gives an error. Unlike io.ReadFull it
// passes on a short end as io.EOF, and it gives up on a reader that returns
// neither bytes nor an error.
func fill(src io.Reader, b []byte) (n int, err error) {
	for idle := 0; n < len(b) && err == nil; {
		var m int
		m, err = src.Read(b[n:])
		n += m
		if m > 0 {
			idle = 0
		} else if idle++; idle > 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// atEnd tells the good end of a stream from an error that wraps io.EOF, such
// as a connection that broke.
func atEnd(err error) bool { return err == io.EOF } //nolint:errorlint // that is the point

// digest hashes one reader's copy of the stream.
func (r *ring) digest(ctx context.Context, reader int, h hash.Hash) error {
	for {
		select {
		case c, ok := <-r.outs[reader]:
			if !ok {
				return nil
			}
			h.Write(c.data)
			c.release()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// chunkReader reads one reader's copy of the stream.
type chunkReader struct {
	ctx  context.Context // of the one call that this reader serves
	in   <-chan *chunk
	cur  *chunk
	rest []byte
}

func (r *ring) reader(ctx context.Context, reader int) *chunkReader {
	return &chunkReader{ctx: ctx, in: r.outs[reader]}
}

// next makes rest non-empty.
func (r *chunkReader) next() error {
	if len(r.rest) > 0 {
		return nil
	}
	if r.cur != nil {
		r.cur.release()
		r.cur = nil
	}
	select {
	case c, ok := <-r.in:
		if !ok {
			return io.EOF
		}
		r.cur, r.rest = c, c.data
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.next(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo hands the chunks over as they are, for a skip or a spool.
func (r *chunkReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		if err := r.next(); err != nil {
			if atEnd(err) {
				err = nil
			}
			return total, err
		}
		n, err := w.Write(r.rest)
		total += int64(n)
		r.rest = r.rest[n:]
		if err != nil {
			return total, err
		}
	}
}
