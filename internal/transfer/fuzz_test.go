package transfer_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"inlay/internal/transfer"
)

// answered is an http.RoundTripper without a network.
type answered func(*http.Request) *http.Response

func (a answered) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

// FuzzResume promises that whatever a server says of a part that it sends, no
// file is made up of two versions: either each byte is of one, or it is an error.
func FuzzResume(f *testing.F) {
	f.Add(206, "bytes 4-7/8", `"a"`, "", `"a"`, "", int64(4))
	f.Add(206, "bytes 4-7/8", `"b"`, "", `"a"`, "", int64(4))
	f.Add(206, "bytes 4-7/*", `"a"`, "", "", "Wed, 01 Jan 2020 00:00:00 GMT", int64(-1))
	f.Add(200, "", `W/"a"`, "Wed, 01 Jan 2020 00:00:00 GMT", `W/"a"`, "Wed, 01 Jan 2020 00:00:00 GMT", int64(8))
	f.Add(416, "bytes */4", "", "", `"a"`, "", int64(0))
	f.Add(206, "bytes 0-7/8", "", "", "", "", int64(8))
	f.Fuzz(func(t *testing.T, status int, contentRange, etag, modified, etag0, modified0 string, length int64) {
		if status < 100 || status > 999 {
			return
		}
		n := 0
		client := &http.Client{Transport: answered(func(r *http.Request) *http.Response {
			n++
			resp := &http.Response{Request: r, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Date": {"Fri, 03 Jan 2020 00:00:00 GMT"}}}
			set := func(status int, etag, modified, body string, length int64) *http.Response {
				resp.StatusCode, resp.ContentLength = status, length
				resp.Header.Set("ETag", etag)
				resp.Header.Set("Last-Modified", modified)
				resp.Body = io.NopCloser(bytes.NewReader([]byte(body)))
				return resp
			}
			switch n {
			case 1:
				return set(200, etag0, modified0, "aaaa", 8)
			case 2:
				resp.Header.Set("Content-Range", contentRange)
				return set(status, etag, modified, "bbbb", length)
			default:
				return set(200, `"c"`, "", "cccccccc", 8)
			}
		})}
		m := &memory{}
		file, err := transfer.OpenFile(t.Context(), transfer.FileOptions{
			Client: client, URL: &url.URL{Scheme: "http", Host: "h", Path: "/"},
			Patience: transfer.Patience{Stall: time.Minute, Tries: 3, Backoff: time.Nanosecond},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, _, err := file.CopyTo(t.Context(), m, nil); err != nil {
			return
		}
		// Only a part that says that it is of the first version may continue it.
		vouched := etag0 != "" && etag == etag0 && etag0[0] == '"' || modified0 != "" && modified == modified0
		switch got := string(m.b); {
		case got == "aaaabbbb" && status == 206 && vouched:
		case strings.HasPrefix("bbbb", got) && status == 200, got == "cccccccc":
		default:
			t.Errorf("%q from status %d, range %q, %s", got, status, contentRange, fmt.Sprint(etag, modified, etag0, modified0))
		}
	})
}
