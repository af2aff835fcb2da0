package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"inlay/internal/hint"
)

// accept looks at an answer's beginning: all of the file, the part of it that
// comes next, or no.
func (f *File) accept(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		return f.begin(resp)
	case http.StatusPartialContent:
		err := f.goOn(resp)
		if err != nil {
			f.startOver()
		}
		return err
	case http.StatusRequestedRangeNotSatisfiable:
		if f.ranged {
			f.startOver()
			return fmt.Errorf("the file has changed: the server has no byte %d any more", f.off)
		}
	}
	err := &StatusError{Status: resp.StatusCode, After: retryAfter(resp.Header, time.Now())}
	if !IsPassing(resp.StatusCode) || err.After > maxAfter {
		return Permanent(err)
	}
	return err
}

// begin takes an answer that is the whole file. What was written before goes,
// though it may be the same: nothing says so.
func (f *File) begin(resp *http.Response) error {
	if err := checkPacking(resp.Header); err != nil {
		return err
	}
	if f.off > 0 {
		if f.restarts++; f.restarts > maxRestarts {
			return Permanent(fmt.Errorf("the server has begun anew %d times", maxRestarts))
		}
		f.off, f.stale = 0, true
	}
	if now := versionOf(resp); now != f.now {
		f.now, f.best, f.mark = now, 0, 0 // how far another version came is no measure
	}
	f.whole, f.blind = false, false
	f.unsure = resp.ContentLength < 0 && resp.ProtoMajor == 1 && !slices.Contains(resp.TransferEncoding, "chunked")
	if f.From == nil {
		f.Header, f.From = resp.Header, resp.Request.URL
	}
	return nil
}

// goOn takes an answer that continues what was written, if all that it says of
// itself fits.
func (f *File) goOn(resp *http.Response) error {
	if !f.ranged {
		return errors.New("the server sends a part that was not asked for")
	}
	if err := checkPacking(resp.Header); err != nil {
		return err
	}
	start, end, total, err := parseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return err
	case start != f.off:
		return fmt.Errorf("the server sends the part from byte %d, not from %d", start, f.off)
	case total < 0:
		return errors.New("the server does not say of how many bytes it sends a part")
	case f.now.size >= 0 && total != f.now.size:
		return fmt.Errorf("the file has changed: the server now has %d bytes, not %d", total, f.now.size)
	case resp.ContentLength >= 0 && resp.ContentLength != end-start+1:
		return fmt.Errorf("the server sends %d bytes as a part of %d", resp.ContentLength, end-start+1)
	}
	sure, err := f.now.same(resp.Header)
	if err != nil {
		return err
	}
	if !sure && !f.judged {
		return errors.New("the server does not say which version of the file it sends a part of")
	}
	f.blind = f.blind || !sure
	f.now.size, f.unsure = total, false
	return nil
}

// checkPacking refuses content that is packed on its way: what a digest covers,
// and what a range counts, would not be the file.
func checkPacking(h http.Header) error {
	packing := strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ", "))
	if packing == "" || strings.EqualFold(packing, "identity") {
		return nil
	}
	return Permanent(hint.Wrap(fmt.Errorf("the server packs the file with %q, which was not asked for", clip(packing)),
		"have it served as it is, without Content-Encoding"))
}

// checkEnd asks for the byte behind the last one. Neither a length that was
// announced too short nor a connection that ended too soon show themselves in
// any other way, unless a digest was given. Who does not answer is believed,
// but for one who never said where the file ends.
func (f *File) checkEnd() error {
	ctx, cancel := context.WithTimeout(f.ctx, f.Stall)
	defer cancel()
	resp, err := f.do(ctx, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", f.off, f.off)}})
	ended := false
	if err == nil {
		resp.Body.Close()
		ended = resp.StatusCode == http.StatusRequestedRangeNotSatisfiable
		if start, _, _, err := parseContentRange(resp.Header.Get("Content-Range")); err == nil &&
			resp.StatusCode == http.StatusPartialContent && start == f.off {
			if _, err := f.now.same(resp.Header); err == nil {
				return fmt.Errorf("the server announced %d bytes, but has more", f.off)
			}
		}
	}
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	if f.unsure && !ended {
		return hint.Wrap(fmt.Errorf("the server does not say how long the file is, and its connection ended at byte %d: %w", f.off, io.ErrUnexpectedEOF),
			"give the file's digest with --digest, which shows whether it is whole")
	}
	return nil
}

// maxAfter bounds how long a server may have us wait before the next try.
const maxAfter = 5 * time.Minute

// retryAfter reads the header of that name, in seconds or as a date; 0 if there
// is none that makes sense.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// StatusError is an answer that is not the file.
type StatusError struct {
	Status int
	After  time.Duration // when the server wants to be asked again; 0 if it didn't say
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("answers with status %d", e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text += " (" + name + ")"
	}
	if e.After > maxAfter {
		text += fmt.Sprintf(" and wants to be asked again in %s", e.After)
	}
	return text
}
