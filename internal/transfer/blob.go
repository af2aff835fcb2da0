package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Getter asks for a file with the given extra headers. The answer has the
// status 200 or 206; anything else is an error, one made by [Permanent] if asking
// again makes no sense.
type Getter func(ctx context.Context, extra http.Header) (*http.Response, error)

// blob reads content of known size and goes on where a broken connection left
// off. It cannot tell whether the server still sends the same content; the
// digest, which the reader of the blob checks, does.
type blob struct {
	tries
	get  Getter
	size int64

	off   int64 // bytes delivered
	skip  int64 // bytes of the current body to throw away first
	etag  string
	whole bool // the server's ranges cannot be relied on
}

// NewBlob returns the content of size bytes that get brings, for a reader that
// knows its digest: whether the server still sends the same content after a
// break is left to that reader to find. It must be closed.
func NewBlob(ctx context.Context, get Getter, size int64, p Patience) io.ReadCloser {
	return &blob{tries: tries{ctx: ctx, Patience: p.OrDefault()}, get: get, size: size}
}

// Read ends with io.EOF after size bytes, neither before nor after. A body
// that is longer is left to the caller to find: one byte too many is delivered.
func (b *blob) Read(p []byte) (int, error) {
	for {
		if b.body == nil {
			if err := b.ask(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := b.readBody(p)
		if err == nil || n > 0 {
			return n, nil
		}
		// However the connection ended: there is nothing left to ask for, and
		// a range that begins at the end is an error to a server.
		if b.off >= b.size && b.ctx.Err() == nil {
			return 0, io.EOF
		}
		b.lost(err)
	}
}

func (b *blob) ask() error {
	get := func(ctx context.Context) (*http.Response, error) { return b.get(ctx, b.headers()) }
	err := b.connect(get, b.accept)
	if g, ok := errors.AsType[*GaveUpError](err); ok {
		g.At, g.Size = b.off, b.size
	}
	return err
}

// readBody reads once from the current body, less what has to be skipped. Its
// error, which comes alone, says why the body ended.
func (b *blob) readBody(p []byte) (int, error) {
	for {
		into := p
		if b.skip > 0 {
			into = p[:min(int64(len(p)), b.skip)]
		}
		n, err := b.read(into)
		if b.skip > 0 && n > 0 {
			b.skip -= int64(n)
			continue
		}
		b.off += int64(n)
		b.reached(b.off)
		switch {
		case n > 0:
			return n, nil // the error will come again
		case atEnd(err) && b.off < b.size:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		}
	}
}

func (b *blob) headers() http.Header {
	h := http.Header{}
	if b.off > 0 && !b.whole {
		h.Set("Range", fmt.Sprintf("bytes=%d-", b.off))
		if strings.HasPrefix(b.etag, `"`) { // If-Range takes no weak tag
			h.Set("If-Range", b.etag)
		}
	}
	return h
}

// accept checks that the answer is the part of the blob that comes next, or
// all of it.
func (b *blob) accept(resp *http.Response) error {
	etag := resp.Header.Get("ETag")
	if resp.StatusCode == http.StatusOK {
		if resp.ContentLength >= 0 && resp.ContentLength != b.size {
			return &permanentError{fmt.Errorf("the server sends %d bytes, not %d", resp.ContentLength, b.size)}
		}
		b.etag = etag
		b.skip = b.off
		return nil
	}
	start, _, total, err := parseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case b.off == 0 || b.whole:
		err = errors.New("the server sends a part that was not asked for")
	case err != nil:
	case start != b.off:
		err = fmt.Errorf("the server sends the part from byte %d, not from %d", start, b.off)
	case total >= 0 && total != b.size:
		err = fmt.Errorf("the server now has %d bytes, not %d", total, b.size)
	case b.etag != "" && etag != "" && etag != b.etag:
		err = errors.New("the server's copy has changed")
	}
	if err != nil {
		b.whole = true // once more from the start; the digest will judge
	}
	b.skip = 0
	return err
}
