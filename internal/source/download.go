package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// getter asks for a blob with the given extra headers. The answer has the
// status 200 or 206; anything else is an error, a *permanentError if asking
// again makes no sense.
type getter func(ctx context.Context, extra http.Header) (*http.Response, error)

// permanentError is an answer that another try will not change.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

var errStalled = errors.New("no byte came for too long")

// download reads a blob of known size and goes on where a broken connection
// left off. It cannot tell whether the server still sends the same blob; the
// digest, which the reader of the download checks, does.
type download struct {
	ctx  context.Context // of the one read that this download serves
	get  getter
	size int64
	patience

	off    int64 // bytes delivered
	skip   int64 // bytes of the current body to throw away first
	etag   string
	whole  bool // the server's ranges cannot be relied on
	wasted int  // tries in a row that brought too little
	mark   int64
	last   error // why the last try ended

	body   io.ReadCloser
	cancel context.CancelCauseFunc // of the current try
	watch  *time.Timer             // cancels the current try when it stalls
}

func newDownload(ctx context.Context, get getter, size int64, p patience) *download {
	return &download{ctx: ctx, get: get, size: size, patience: p.orDefault()}
}

// Close ends the download.
func (d *download) Close() error {
	d.drop()
	return nil
}

func (d *download) drop() {
	if d.cancel != nil {
		d.watch.Stop()
		d.cancel(context.Canceled)
		d.cancel = nil
	}
	if d.body != nil {
		d.body.Close()
		d.body = nil
	}
}

// Read ends with io.EOF after size bytes, neither before nor after. A body
// that is longer is left to the caller to find: one byte too many is delivered.
func (d *download) Read(p []byte) (int, error) {
	for {
		if d.body == nil {
			if err := d.connect(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := d.readBody(p)
		if err == nil || n > 0 {
			return n, nil
		}
		// However the connection ended: there is nothing left to ask for, and
		// a range that begins at the end is an error to a server.
		if d.off >= d.size && d.ctx.Err() == nil {
			return 0, io.EOF
		}
		d.drop()
		d.last = err
	}
}

// readBody reads once from the current body, less what has to be skipped. Its
// error, which comes alone, says why the body ended.
func (d *download) readBody(p []byte) (int, error) {
	for {
		d.watch.Reset(d.stall)
		into := p
		if d.skip > 0 {
			into = p[:min(int64(len(p)), d.skip)]
		}
		n, err := d.body.Read(into)
		d.watch.Stop()
		if d.skip > 0 && n > 0 {
			d.skip -= int64(n)
			continue
		}
		d.off += int64(n)
		switch {
		case n > 0:
			return n, nil // the error will come again
		case atEnd(err) && d.off < d.size:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		}
	}
}

// connect makes the next try. It returns an error only to give up.
func (d *download) connect() error {
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	if d.last != nil {
		if d.off-d.mark >= minProgress {
			d.wasted = 0
		}
		if d.wasted++; d.wasted >= d.tries {
			return fmt.Errorf("gave up after %d tries, at byte %d of %d: %w", d.tries, d.off, d.size, d.last)
		}
		if err := d.wait(d.ctx, d.wasted); err != nil {
			return err
		}
	}
	d.mark = d.off
	ctx, cancel := context.WithCancelCause(d.ctx)
	d.cancel = cancel
	d.watch = time.AfterFunc(d.stall, func() { cancel(errStalled) })
	resp, err := d.get(ctx, d.headers()) //nolint:bodyclose // drop closes it
	if err == nil {
		d.body = &stallReader{ctx, resp.Body}
		err = d.accept(resp)
	} else if cause := context.Cause(ctx); cause != nil {
		err = cause // "stalled" says more than "cancelled"
	}
	if err == nil {
		return nil
	}
	d.drop()
	if p, ok := errors.AsType[*permanentError](err); ok {
		return p.err
	}
	if d.ctx.Err() != nil {
		return context.Cause(d.ctx)
	}
	d.last = err
	return nil
}

// stallReader reports why a read was cancelled rather than that it was.
type stallReader struct {
	ctx context.Context // of the one try
	io.ReadCloser
}

func (s *stallReader) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && !atEnd(err) {
		if cause := context.Cause(s.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (d *download) headers() http.Header {
	h := http.Header{}
	if d.off > 0 && !d.whole {
		h.Set("Range", fmt.Sprintf("bytes=%d-", d.off))
		if strings.HasPrefix(d.etag, `"`) { // If-Range takes no weak tag
			h.Set("If-Range", d.etag)
		}
	}
	return h
}

// accept checks that the answer is the part of the blob that comes next, or
// all of it.
func (d *download) accept(resp *http.Response) error {
	etag := resp.Header.Get("ETag")
	if resp.StatusCode == http.StatusOK {
		if resp.ContentLength >= 0 && resp.ContentLength != d.size {
			return &permanentError{fmt.Errorf("the server sends %d bytes, but the manifest says %d", resp.ContentLength, d.size)}
		}
		d.etag = etag
		d.skip = d.off
		return nil
	}
	start, total, err := parseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case d.off == 0 || d.whole:
		err = errors.New("the server sends a part that was not asked for")
	case err != nil:
	case start != d.off:
		err = fmt.Errorf("the server sends the part from byte %d, not from %d", start, d.off)
	case total >= 0 && total != d.size:
		err = fmt.Errorf("the server now has %d bytes, not %d", total, d.size)
	case d.etag != "" && etag != "" && etag != d.etag:
		err = errors.New("the server's copy has changed")
	}
	if err != nil {
		d.whole = true // once more from the start; the digest will judge
	}
	d.skip = 0
	return err
}

// parseContentRange reads "bytes START-END/TOTAL"; total is -1 for "*".
func parseContentRange(s string) (start, total int64, err error) {
	bad := fmt.Errorf("the server's Content-Range %q makes no sense", clip(s))
	span, size, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 || !strings.HasPrefix(s, "bytes ") {
		return 0, 0, bad
	}
	start, err1 := strconv.ParseInt(from, 10, 64)
	end, err2 := strconv.ParseInt(to, 10, 64)
	total = -1
	var err3 error
	if size != "*" {
		total, err3 = strconv.ParseInt(size, 10, 64)
	}
	if errors.Join(err1, err2, err3) != nil || start < 0 || end < start || total >= 0 && end >= total {
		return 0, 0, bad
	}
	return start, total, nil
}
