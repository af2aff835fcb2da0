package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Permanent marks err as one that another try will not change.
func Permanent(err error) error { return &permanentError{err} }

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// ErrStalled ends a try that has waited too long for the next byte.
var ErrStalled = errors.New("no byte came for too long")

// tries is one connection after the other to the same content, for as long as
// patience lasts.
type tries struct {
	ctx context.Context // of the one transfer that this serves
	Patience

	wasted int   // tries in a row that brought too little
	best   int64 // how far any of them has come
	mark   int64 // best, when the current try began
	last   error // why the last try ended

	body   io.ReadCloser
	cancel context.CancelCauseFunc // of the current try
	watch  *time.Timer             // cancels the current try when it stalls
}

// Close ends the transfer.
func (t *tries) Close() error {
	t.drop()
	return nil
}

func (t *tries) drop() {
	if t.cancel != nil {
		t.watch.Stop()
		t.cancel(context.Canceled)
		t.cancel = nil
	}
	if t.body != nil {
		t.body.Close()
		t.body = nil
	}
}

// lost ends the current try for the reason err; connect makes the next.
func (t *tries) lost(err error) {
	t.drop()
	t.last = err
}

// read reads once from the current body, for no longer than patience lasts.
func (t *tries) read(p []byte) (int, error) {
	t.watch.Reset(t.Stall)
	n, err := t.body.Read(p)
	t.watch.Stop()
	return n, err
}

// reached takes note that the transfer has come to byte off.
func (t *tries) reached(off int64) { t.best = max(t.best, off) }

// connect makes the next try: get asks, and accept looks at the answer, whose
// body is read afterwards. What either finds wrong is kept for the next call,
// unless it is permanent. connect itself returns an error only to give up.
func (t *tries) connect(get func(context.Context) (*http.Response, error), accept func(*http.Response) error) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	if err := t.pause(); err != nil {
		return err
	}
	t.mark = t.best
	ctx, cancel := context.WithCancelCause(t.ctx)
	t.cancel = cancel
	t.watch = time.AfterFunc(t.Stall, func() { cancel(ErrStalled) })
	resp, err := get(ctx) //nolint:bodyclose // drop closes it
	if err == nil {
		t.watch.Stop()
		t.body = &stallReader{ctx, resp.Body}
		err = accept(resp)
	} else if cause := context.Cause(ctx); cause != nil {
		err = cause // "stalled" says more than "cancelled"
	}
	if err == nil {
		return nil
	}
	t.drop()
	if p, ok := errors.AsType[*permanentError](err); ok {
		return p.err
	}
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	t.last = err
	return nil
}

// pause waits before a try that follows one that failed, and gives up when too
// many have.
func (t *tries) pause() error {
	if t.last == nil {
		return nil
	}
	if t.best-t.mark >= minProgress {
		t.wasted = 0
	}
	if t.wasted++; t.wasted >= t.Tries {
		return &GaveUpError{Tries: t.wasted, Size: -1, Last: t.last}
	}
	var asked time.Duration
	if answer, ok := errors.AsType[*StatusError](t.last); ok {
		asked = answer.After
	}
	return t.wait(t.ctx, t.wasted, asked)
}

// GaveUpError ends a transfer whose tries are used up.
type GaveUpError struct {
	Tries    int
	At, Size int64 // bytes that have come, and that should have; -1 if not known
	Last     error // how the last try ended
}

// Place says how often was tried, and how far it came.
func (e *GaveUpError) Place() string {
	switch {
	case e.Size >= 0:
		return fmt.Sprintf("gave up after %d tries, at byte %d of %d", e.Tries, e.At, e.Size)
	case e.At > 0:
		return fmt.Sprintf("gave up after %d tries, at byte %d", e.Tries, e.At)
	}
	return fmt.Sprintf("gave up after %d tries", e.Tries)
}

func (e *GaveUpError) Error() string { return fmt.Sprintf("%s: %v", e.Place(), e.Last) }
func (e *GaveUpError) Unwrap() error { return e.Last }

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

// atEnd tells the end of a stream from an error that wraps it: a broken inner
// stream must not pass for a complete outer one.
func atEnd(err error) bool { return err == io.EOF } //nolint:errorlint // that is the point
