package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/url"
)

const (
	// copyBuffer is read at once: enough that writing costs little, little
	// enough that progress is seen on a slow line.
	copyBuffer = 256 << 10
	// maxRestarts bounds how often a file may change, or a server without ranges
	// break off, during one transfer.
	maxRestarts = 20
)

// Destination is what a file is written to. It is empty at first; Truncate
// throws away what was written of a file that has changed on its server.
type Destination interface {
	io.WriterAt
	Truncate(size int64) error
}

// FileOptions say what to fetch, and how.
type FileOptions struct {
	Client   *http.Client
	URL      *url.URL
	Header   http.Header // of each request
	Patience Patience
	// Progress, if set, is told how many bytes there are and how many there will
	// be, as far as known (else done). A file that changes begins again at 0.
	Progress func(done, total int64)
}

// File is a file on a server that promises nothing: it may change, shrink or go
// while it is read.
type File struct {
	Header http.Header // of the first answer
	From   *url.URL    // where the first answer came from, after redirects
	Size   int64       // as first announced; -1 if it was not

	tries
	o    FileOptions
	stop context.CancelCauseFunc

	now      version // what the bytes written so far are of, all of them
	off      int64   // bytes written
	ranged   bool    // the current try asked for a part
	whole    bool    // the next try asks for all
	stale    bool    // what is written has to go before the next byte
	restarts int
	judged   bool // a digest will tell whether the whole is right
	blind    bool // a part was added that nothing but that digest vouches for
	unsure   bool // only the end of the connection says that this is all
	buf      []byte
}

// OpenFile asks for a file and waits until the answer begins. The file must be
// closed; it ends with ctx.
func OpenFile(ctx context.Context, o FileOptions) (*File, error) {
	ctx, stop := context.WithCancelCause(ctx)
	f := &File{o: o, stop: stop, tries: tries{ctx: ctx, Patience: o.Patience.OrDefault()}}
	for f.body == nil {
		if err := f.ask(); err != nil {
			f.Close()
			return nil, err
		}
	}
	f.Size = f.now.size
	return f, nil
}

// Close ends the transfer.
func (f *File) Close() {
	f.drop()
	f.stop(context.Canceled)
}

// ETag returns the server's name for the version of the file that was copied,
// or "".
func (f *File) ETag() string { return f.now.etag }

// CopyTo writes the whole file to dst, from one and the same version of it, and
// returns its SHA-256 and size. want is the sum that the caller will insist on,
// nil if none: with it, a server may go on where it broke off without saying
// which version of the file it has. It is for the caller to compare. A file
// can be copied once.
func (f *File) CopyTo(ctx context.Context, dst Destination, want []byte) (sum [sha256.Size]byte, size int64, err error) {
	defer context.AfterFunc(ctx, func() { f.stop(context.Cause(ctx)) })()
	f.judged = want != nil
	f.buf = make([]byte, copyBuffer)
	h := sha256.New()
	for {
		if err := f.copyOnce(dst, h); err != nil {
			return sum, f.off, err
		}
		h.Sum(sum[:0])
		if !f.blind || string(sum[:]) == string(want) {
			break
		}
		// The parts may be of two versions. Once more, of one.
		f.judged, f.blind = false, false
		f.startOver()
		f.lost(errors.New("the parts do not make up the right whole"))
	}
	f.drop()
	if want == nil {
		err = f.checkEnd()
	}
	return sum, f.off, err
}

// copyOnce reads to what seems to be the end.
func (f *File) copyOnce(dst Destination, h hash.Hash) error {
	for {
		if f.body == nil {
			if err := f.ask(); err != nil {
				return err
			}
			continue
		}
		if f.stale {
			if err := dst.Truncate(0); err != nil {
				return err
			}
			h.Reset()
			f.stale = false
			f.report()
		}
		n, err := 0, error(nil)
		if f.off != f.now.size {
			n, err = f.read(f.buf)
		}
		if n > 0 {
			if err := f.write(dst, h, f.buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case f.off == f.now.size, f.now.size < 0 && atEnd(err):
			return nil
		case atEnd(err):
			f.lost(fmt.Errorf("the connection ended at byte %d of %d: %w", f.off, f.now.size, io.ErrUnexpectedEOF))
		case err != nil:
			f.lost(err)
		}
	}
}

func (f *File) write(dst Destination, h hash.Hash, p []byte) error {
	if f.now.size >= 0 && int64(len(p)) > f.now.size-f.off {
		return fmt.Errorf("the server sends more than the %d bytes that it announced", f.now.size)
	}
	if _, err := dst.WriteAt(p, f.off); err != nil {
		return err
	}
	h.Write(p)
	f.off += int64(len(p))
	f.reached(f.off)
	f.report()
	return nil
}

func (f *File) report() {
	if f.o.Progress != nil {
		f.o.Progress(f.off, max(f.off, f.now.size))
	}
}

// startOver makes the next try ask for the whole file.
func (f *File) startOver() { f.whole = true }

func (f *File) ask() error {
	err := f.connect(f.get, f.accept)
	if g, ok := errors.AsType[*GaveUpError](err); ok {
		g.At = f.off
		if f.From != nil {
			g.Size = f.now.size
		}
	}
	return err
}

func (f *File) get(ctx context.Context) (*http.Response, error) {
	var h http.Header
	if f.off > 0 && !f.whole {
		h = f.now.resume(f.off, f.judged)
	}
	f.ranged = h.Get("Range") != ""
	resp, err := f.do(ctx, h)
	if err != nil && (isHopeless(err) || f.From == nil && isNowhere(err)) {
		err = Permanent(err)
	}
	return resp, err
}

func (f *File) do(ctx context.Context, h http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.o.URL.String(), nil)
	if err != nil {
		return nil, Permanent(Cause(err))
	}
	maps.Copy(req.Header, f.o.Header)
	maps.Copy(req.Header, h)
	// Said aloud, because silence means that any packing will do.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "inlay")
	resp, err := f.o.Client.Do(req)
	if err != nil {
		return nil, Cause(err)
	}
	return resp, nil
}
