package transfer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// version is what a server says of one state of a file: the validators of RFC
// 9110, section 8.8.
type version struct {
	etag     string
	modified string
	dated    bool  // modified tells this state from the one before
	size     int64 // -1 if not known
}

func versionOf(resp *http.Response) version {
	v := version{
		etag:     resp.Header.Get("ETag"),
		modified: resp.Header.Get("Last-Modified"),
		size:     resp.ContentLength,
	}
	// A file that was written in the second in which it was sent may have been
	// written once more in that second (section 8.8.2.2).
	modified, err1 := http.ParseTime(v.modified)
	sent, err2 := http.ParseTime(resp.Header.Get("Date"))
	v.dated = err1 == nil && err2 == nil && sent.Sub(modified) >= time.Second
	return v
}

// strong tells a tag that stands for every byte from one that stands for the
// meaning.
func (v version) strong() bool { return strings.HasPrefix(v.etag, `"`) }

// resume returns the headers that ask for the rest of this version from byte
// off, or none if nothing could tell it from another version's.
func (v version) resume(off int64, judged bool) http.Header {
	h := http.Header{}
	switch {
	case v.strong():
		h.Set("If-Range", v.etag)
	case v.dated:
		h.Set("If-Range", v.modified)
	case !judged:
		return h
	}
	h.Set("Range", fmt.Sprintf("bytes=%d-", off))
	return h
}

// same holds the headers of a part against this version. An error says that they
// are another one's; sure, that they cannot be.
func (v version) same(h http.Header) (sure bool, err error) {
	etag, modified := h.Get("ETag"), h.Get("Last-Modified")
	if etag != "" && v.etag != "" && etag != v.etag || modified != "" && v.modified != "" && modified != v.modified {
		return false, errors.New("the file has changed on the server")
	}
	return v.strong() && etag != "" || v.dated && modified != "", nil
}
