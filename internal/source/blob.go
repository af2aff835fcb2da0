package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"inlay/internal/hint"
)

// blob is one stored stream, compressed or not, and what is promised of it.
type blob struct {
	name   string // for messages
	size   int64  // stored bytes; -1 if not known
	digest Digest // of the stored bytes; "" if not known
	diffID Digest // of the uncompressed bytes; "" if not known
	// open returns the stored bytes from their start. Reading them ends when
	// ctx does, so that nobody has to close a reader under its user.
	open func(ctx context.Context) (io.ReadCloser, error)
	seen func(n int64) // told of stored bytes as they are read; may be nil
}

// errEnough stops a walk that has seen what it came for.
var errEnough = errors.New("seen enough")

// read passes the uncompressed bytes to fn, which need not read them to their
// end: what it leaves is read here, so that the digests cover everything. Any
// error of fn ends the reading at once. Fetching, hashing the stored bytes,
// inflating, hashing the uncompressed bytes and fn run side by side.
func (b *blob) read(ctx context.Context, fn func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	src, err := b.open(ctx)
	if err != nil {
		cancel(nil)
		return err
	}
	var work sync.WaitGroup
	defer func() {
		cancel(nil)
		work.Wait()
		src.Close()
	}()

	p := &pipeline{ctx: ctx, cancel: cancel, work: &work}
	counted := &countingReader{r: src, blob: b}
	head := make([]byte, magicLen)
	n, err := fill(counted, head)
	if err != nil && !atEnd(err) {
		return fmt.Errorf("reading %s: %w", b.name, err)
	}
	head = head[:n]
	kind, err := detectCompression(head)
	if err != nil {
		return fmt.Errorf("reading %s: %w", b.name, err)
	}
	whole := io.MultiReader(bytes.NewReader(head), counted)
	if kind == plain && b.digest == "" && b.diffID == "" {
		return b.readDirect(whole, counted, fn)
	}
	stored := p.stage(whole, b.digest != "" || kind == plain && b.diffID != "")
	body := io.Reader(stored.out)
	sums := []promise{{"", b.digest, stored}}
	if kind == plain {
		sums = append(sums, promise{"uncompressed ", b.diffID, stored})
	} else {
		inflated, err := inflate(stored.out, kind)
		if err != nil {
			return p.fail(fmt.Errorf("inflating %s: %w", b.name, hint.Default(err, damagedAdvice)))
		}
		second := p.stage(&inflater{r: inflated, upstream: stored.out, name: b.name}, b.diffID != "")
		defer func() {
			// The decoder may only be closed when no goroutine reads from it.
			cancel(nil)
			work.Wait()
			inflated.Close()
		}()
		sums = append(sums, promise{"uncompressed ", b.diffID, second})
		body = second.out
	}
	if err := fn(body); err != nil {
		return p.fail(err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return p.fail(fmt.Errorf("reading %s: %w", b.name, err))
	}
	work.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("reading %s: %w", b.name, err)
	}
	if err := counted.complete(); err != nil {
		return err
	}
	for _, s := range sums {
		if got := s.stage.sum(); s.want != "" && got != s.want {
			return &MismatchError{What: s.what + b.name, Want: s.want, Got: got}
		}
	}
	return nil
}

// readDirect is the rest of read for a layer's tar in a file: there is nothing to
// hash or inflate beside fn, and another goroutine would only copy every byte
// once more. The buffer serves headers and small files. It is half of the pieces
// that large ones are read in: after what is left in it, so much is missing of
// the first that all the others pass it by.
func (b *blob) readDirect(whole io.Reader, counted *countingReader, fn func(io.Reader) error) error {
	const bufferSize = 32 << 10
	body := bufio.NewReaderSize(whole, bufferSize)
	if err := fn(body); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return fmt.Errorf("reading %s: %w", b.name, err)
	}
	return counted.complete()
}

// promise is a digest to be compared when the stream has ended.
type promise struct {
	what  string
	want  Digest
	stage *stage
}

// pipeline is what the goroutines of one read share.
type pipeline struct {
	ctx    context.Context // of the one read
	cancel context.CancelCauseFunc
	work   *sync.WaitGroup
}

// fail ends all stages. The first cause wins: a reader that finds the context
// done reports why, not that it was.
func (p *pipeline) fail(err error) error {
	p.cancel(err)
	return err
}

// stage is one stream, copied to a reader and, if asked for, to a hash.
type stage struct {
	out  *chunkReader
	hash hash.Hash
}

func (s *stage) sum() Digest {
	if s.hash == nil {
		return ""
	}
	return Digest(digestPrefix + hex.EncodeToString(s.hash.Sum(nil)))
}

func (p *pipeline) stage(src io.Reader, hashed bool) *stage {
	s := &stage{}
	readers := 1
	if hashed {
		readers = 2
	}
	r := newRing(readers)
	s.out = r.reader(p.ctx, 0)
	p.work.Go(func() {
		if err := r.pump(p.ctx, src); err != nil {
			p.cancel(err)
		}
	})
	if hashed {
		s.hash = sha256.New()
		p.work.Go(func() {
			if err := r.digest(p.ctx, 1, s.hash); err != nil {
				p.cancel(err)
			}
		})
	}
	return s
}

// inflater reads a decoder to its end and then what the decoder left, so that
// the hash of the stored bytes sees them all.
type inflater struct {
	r        io.Reader
	upstream io.Reader
	name     string
}

// damagedAdvice is for compressed data that cannot be read.
const damagedAdvice = "fetch or make it again: its compressed data is damaged"

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	switch {
	case err == nil:
	case atEnd(err):
		if extra, _ := io.Copy(io.Discard, i.upstream); extra > 0 {
			return n, hint.Wrap(fmt.Errorf("inflating %s: %d bytes follow its end", i.name, extra), damagedAdvice)
		}
	case errors.Is(err, context.Canceled):
	default:
		err = fmt.Errorf("inflating %s: %w", i.name, hint.Default(err, damagedAdvice))
	}
	return n, err
}

// countingReader holds a blob to its stated size, at once and not only at the
// end, and tells how far it has come.
type countingReader struct {
	r    io.Reader
	blob *blob
	n    int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.blob.size >= 0 && c.n > c.blob.size {
		return 0, fmt.Errorf("it has more than the stated %d bytes", c.blob.size)
	}
	if c.blob.seen != nil && n > 0 {
		c.blob.seen(int64(n))
	}
	return n, err
}

// complete tells whether the blob had as many bytes as it should.
func (c *countingReader) complete() error {
	if c.blob.size >= 0 && c.n != c.blob.size {
		return fmt.Errorf("reading %s: it has %d bytes, not %d", c.blob.name, c.n, c.blob.size)
	}
	return nil
}
