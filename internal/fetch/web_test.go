package fetch_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/fetch"
	"inlay/internal/source"
)

// TestSchemes promises that each scheme works with and without slashes.
func TestSchemes(t *testing.T) {
	t.Parallel()
	plain := serve(t, content("image"))
	secure, pool := serveTLS(t, content("image"))
	path := write(t, "x.sysext.raw", "image")
	for _, uri := range []string{
		plain + "/x.sysext.raw", strings.Replace(plain, "//", "", 1) + "/x.sysext.raw", strings.Replace(plain, "http", "HTTP", 1) + "/x.sysext.raw",
		secure + "/x.sysext.raw", strings.Replace(secure, "//", "", 1) + "/x.sysext.raw",
		"file:" + path, "file://" + path,
	} {
		r := fetch.Request{URI: uri}.Trusting(pool)
		g, err := download(t, r)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		want := got{Download: g.Download, Result: fetch.Result{Digest: digest("image"), Size: 5}, body: "image"}
		if g.FileName != "x.sysext.raw" || g.Download.Size != 5 || g.body != want.body || g.Result != want.Result {
			t.Errorf("%s: %+v %+v %q", uri, g.Download, g.Result, g.body)
		}
		if wantPlain := strings.HasPrefix(strings.ToLower(uri), "http:"); g.Plain != wantPlain {
			t.Errorf("%s: plain %v", uri, g.Plain)
		}
	}
}

// TestName promises that the file's name is what was given, what the server says,
// or what the path says, in this order, and never a path.
func TestName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300) + ".raw"
	for name, tt := range map[string]struct {
		path, header, given string
		want, err, advice   string
	}{
		"path":                   {path: "/a/b/x.raw", want: "x.raw"},
		"query":                  {path: "/x.raw?file=y.raw&sig=%2F", want: "x.raw"},
		"percent":                {path: "/x%2Bk3s%20y.raw", want: "x+k3s y.raw"},
		"header":                 {path: "/x.raw", header: `attachment; filename="y.raw"`, want: "y.raw"},
		"header, token":          {path: "/x.raw", header: `attachment; filename=y.raw`, want: "y.raw"},
		"header, any case":       {path: "/x.raw", header: `ATTACHMENT; FileName="y.raw"`, want: "y.raw"},
		"header, extended":       {path: "/x.raw", header: `attachment; filename="y.raw"; filename*=UTF-8''%e2%82%ac.raw`, want: "€.raw"},
		"extended first":         {path: "/x.raw", header: `attachment; filename*=UTF-8''z%20.raw; filename="y.raw"`, want: "z .raw"},
		"extended, unknown set":  {path: "/x.raw", header: `attachment; filename="y.raw"; filename*=KOI8-R''%C1.raw`, want: "y.raw"},
		"extended, bad UTF-8":    {path: "/x.raw", header: `attachment; filename*=UTF-8''%ff.raw`, want: "x.raw"},
		"header without name":    {path: "/x.raw", header: `inline`, want: "x.raw"},
		"header, nonsense":       {path: "/x.raw", header: `attachment; filename="y.raw`, want: "x.raw"},
		"header, folder":         {path: "/x.raw", header: `attachment; filename="../../etc/passwd"`, want: "passwd"},
		"header, windows":        {path: "/x.raw", header: `attachment; filename="C:\\temp\\y.raw"`, want: "y.raw"},
		"extended folder":        {path: "/x.raw", header: `attachment; filename*=UTF-8''..%2f..%2fy.raw`, want: "y.raw"},
		"header, dots":           {path: "/x.raw", header: `attachment; filename=".."`, want: "x.raw"},
		"header, hidden":         {path: "/x.raw", header: `attachment; filename=".inlay"`, want: "x.raw"},
		"header, option":         {path: "/x.raw", header: `attachment; filename="-rf"`, want: "x.raw"},
		"header, NUL":            {path: "/x.raw", header: `attachment; filename*=UTF-8''y%00.raw`, want: "x.raw"},
		"header, right to left":  {path: "/x.raw", header: `attachment; filename*=UTF-8''y%e2%80%ae.raw`, want: "x.raw"},
		"header, long":           {path: "/x.raw", header: `attachment; filename="` + long + `"`, want: "x.raw"},
		"given":                  {path: "/x.raw", header: `attachment; filename="y.raw"`, given: "z.raw", want: "z.raw"},
		"given for none":         {path: "/", given: "z.raw", want: "z.raw"},
		"given, path":            {path: "/x.raw", given: "../z.raw", err: `the file name "../z.raw" is a path`, advice: "--name"},
		"none":                   {path: "/", err: "nothing there says what to call the file", advice: "--name"},
		"no path":                {path: "", err: "nothing there", advice: "--name"},
		"no path, query":         {path: "?x.raw", err: "nothing there", advice: "--name"},
		"encoded slash":          {path: "/..%2Fx.raw", err: "nothing there", advice: "--name"},
		"encoded newline":        {path: "/x%0a.raw", err: "nothing there", advice: "--name"},
		"long path":              {path: "/" + long, err: "nothing there", advice: "--name"},
		"led to an image":        {path: "/latest?to=/images/y.raw", want: "y.raw"},
		"image led to something": {path: "/x.raw?to=/blob/1234", want: "x.raw"},
		"image led to an image":  {path: "/x.raw?to=/y.raw", want: "x.raw"},
		"led to something":       {path: "/latest?to=/blob/1234", want: "latest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if to := r.FormValue("to"); to != "" {
					http.Redirect(w, r, to, http.StatusFound)
					return
				}
				if tt.header != "" {
					w.Header().Set("Content-Disposition", tt.header)
				}
				content("image")(w, r)
			})
			g, err := download(t, fetch.Request{URI: address + tt.path, Name: tt.given})
			switch {
			case tt.err != "":
				wantError(t, err, tt.err, tt.advice)
			case err != nil:
				t.Error(err)
			case g.FileName != tt.want:
				t.Errorf("got %q, want %q", g.FileName, tt.want)
			}
		})
	}
}

// TestDigest promises that what is asked of the file holds, by flag, by fragment
// or by both, and that nonsense is refused before a byte is asked for.
func TestDigest(t *testing.T) {
	t.Parallel()
	right, wrong := digest("image"), digest("other")
	for name, tt := range map[string]struct {
		flag, fragment string
		err, advice    string
		asked          bool
	}{
		"flag":               {flag: string(right), asked: true},
		"fragment":           {fragment: "#sha256=" + right.Hex(), asked: true},
		"capitals":           {fragment: "#sha256=" + strings.ToUpper(right.Hex()), asked: true},
		"both":               {flag: string(right), fragment: "#sha256=" + right.Hex(), asked: true},
		"wrong flag":         {flag: string(wrong), err: "has the digest " + string(right) + ", not " + string(wrong), advice: "don't use this file", asked: true},
		"wrong fragment":     {fragment: "#sha256=" + wrong.Hex(), err: "not " + string(wrong), advice: "don't use this file", asked: true},
		"both, not agreeing": {flag: string(right), fragment: "#sha256=" + wrong.Hex(), err: "--digest says", advice: "find out which"},
		"bare flag":          {flag: right.Hex(), err: "not of the form sha256:HEX", advice: "sha256sum"},
		"short flag":         {flag: string(right)[:40], err: "64 lower-case hex digits", advice: "sha256sum"},
		"other sum":          {flag: "sha512:" + right.Hex() + right.Hex(), err: "not of the form sha256:HEX", advice: "sha256sum"},
		"short fragment":     {fragment: "#sha256=123", err: "64", advice: "sha256sum"},
		"empty fragment":     {fragment: "#sha256=", err: "64", advice: "sha256sum"},
		"two fragments":      {fragment: "#sha256=" + right.Hex() + "#sha256=" + right.Hex(), err: "the URI names two digests", advice: "wrong one"},
		"more after it":      {fragment: "#sha256=" + right.Hex() + "&x=y", err: "64", advice: "sha256sum"},
		"other fragment":     {fragment: "#sha512=" + right.Hex(), err: "fragment that is not understood", advice: "#sha256="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked bool
			address := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked = true
				content("image")(w, r)
			})
			g, err := download(t, fetch.Request{URI: address + "/x.raw" + tt.fragment, Digest: tt.flag})
			switch {
			case tt.err != "":
				wantError(t, err, tt.err, tt.advice)
			case err != nil:
				t.Error(err)
			case g.Result.Digest != right || g.Download.Digest != right:
				t.Errorf("got %v, %v", g.Result.Digest, g.Download.Digest)
			}
			if asked != tt.asked {
				t.Errorf("asked the server: %v", asked)
			}
			if isMismatch(err) != (tt.err != "" && tt.asked) {
				t.Errorf("%v is a mismatch: %v", err, isMismatch(err))
			}
		})
	}
}

// TestRedirects promises that a server may send on, but not in circles, not back
// to plain HTTP, not off the web, and not to where clouds keep secrets.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Header.Get("Authorization")+r.Header.Get("Referer"))
		mu.Unlock()
		if r.URL.Path == "/circle" {
			http.Redirect(w, r, "/circle", http.StatusFound)
			return
		}
		if to := r.FormValue("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		content("image")(w, r)
	})
	secure, pool := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		to := r.FormValue("to")
		var left int
		if _, err := fmt.Sscan(r.FormValue("hops"), &left); err == nil && left > 0 {
			to = fmt.Sprintf("/x.raw?hops=%d", left-1)
		}
		switch {
		case r.URL.Path == "/guarded" && r.Header.Get("Authorization") == "":
			w.WriteHeader(http.StatusUnauthorized)
		case to != "":
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		default:
			content("image")(w, r)
		}
	})
	guarded := strings.Replace(secure, "://", "://me:s3cret@", 1)
	for name, tt := range map[string]struct {
		uri         string
		plain       bool
		err, advice string
	}{
		"up to https":          {uri: plain + "/?to=" + secure + "/x.raw", plain: true},
		"down to http":         {uri: secure + "/?to=" + plain + "/x.raw", err: "redirects from https to http, at 127.0.0.1", advice: "stays with https"},
		"up and down":          {uri: plain + "/?to=" + url.QueryEscape(secure+"/?to="+plain+"/x.raw"), err: "redirects from https to http", advice: "stays with https"},
		"five hops":            {uri: secure + "/?hops=5"},
		"six hops":             {uri: secure + "/?hops=6", err: "the server redirects more than 5 times", advice: ""},
		"circle":               {uri: plain + "/?to=" + "/circle", err: "more than 5 times", advice: ""},
		"link-local":           {uri: secure + "/?to=https://169.254.169.254/x.raw", err: "link-local address 169.254.169.254", advice: ""},
		"file":                 {uri: secure + "/?to=file:///etc/passwd", err: "not on the web", advice: ""},
		"no address":           {uri: secure + "/?to=https://me:s3cret@%5Bx/", err: "redirects to what is not an address", advice: "check the URI"},
		"keeps credentials":    {uri: guarded + "/guarded?to=" + secure + "/guarded"},
		"takes no credentials": {uri: guarded + "/guarded?to=" + strings.Replace(plain, "http:", "https:", 1), err: "speaks plain HTTP, not HTTPS", advice: "the port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := fetch.Request{URI: tt.uri, Name: "x.raw"}.Trusting(pool).Impatient()
			g, err := download(t, r)
			switch {
			case tt.err != "":
				wantError(t, err, tt.err, tt.advice)
				if err != nil && (strings.Contains(err.Error(), "s3cret") || name != "no address" && strings.Contains(err.Error(), "gave up")) {
					t.Errorf("the error %q shows a password, or comes late", err)
				}
			case err != nil:
				t.Error(err)
			case g.body != "image" || g.Plain != tt.plain:
				t.Errorf("got %q, plain %v", g.body, g.Plain)
			}
		})
	}
	// After all of them: another host has seen neither credentials nor addresses.
	t.Cleanup(func() {
		for _, s := range seen {
			if s != "" {
				t.Errorf("a server that was redirected to has seen %q", s)
			}
		}
	})
}

// TestOtherHost promises that credentials stay with their host.
func TestOtherHost(t *testing.T) {
	t.Parallel()
	var seen []string
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"), r.Header.Get("Referer"))
		content("image")(w, r)
	})
	// Another name for the same machine.
	other = strings.Replace(other, "127.0.0.1", "localhost", 1)
	one := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "s3:cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, other+"/x.raw", http.StatusFound)
	})
	g, err := download(t, fetch.Request{URI: strings.Replace(one, "://", "://me:s3%3Acret@", 1) + "/x.raw?sig=s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	if g.Source != one+"/x.raw?…" {
		t.Errorf("source %q", g.Source)
	}
	if len(seen) == 0 {
		t.Error("nobody came")
	}
	for _, s := range seen {
		if s != "" {
			t.Errorf("the other host has seen %q", s)
		}
	}
}

// TestTroubles promises one clear line and some advice for each usual trouble,
// and that no line shows what may be secret.
func TestTroubles(t *testing.T) {
	t.Parallel()
	status := func(code int) string {
		return strings.Replace(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }), "://", "://me:s3cret@", 1)
	}
	secure, pool := serveTLS(t, content("image"))
	secure = strings.Replace(secure, "://", "://me:s3cret@", 1)
	lies := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "9")
		_, _ = io.WriteString(w, "image")
	})
	silent := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "9")
		_, _ = io.WriteString(w, "image")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	raw := func(text string) string {
		return serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = io.WriteString(conn, text)
				conn.Close()
			}
		})
	}
	const nowhere = "https://me:s3cret@images.test/x.raw?sig=s3cret"
	lookup := func(e net.DNSError) fetch.Request {
		return fetch.Request{URI: nowhere}.Failing(&net.OpError{Op: "dial", Err: &e})
	}
	fails := func(err error) fetch.Request {
		return fetch.Request{URI: nowhere}.Failing(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)})
	}
	for name, tt := range map[string]struct {
		r           fetch.Request
		err, advice string
		missing     bool
	}{
		"401":          {fetch.Request{URI: status(401) + "/x.raw?sig=s3cret"}, "does not take the credentials (401)", "percent-encode", false},
		"401, no user": {fetch.Request{URI: strings.Replace(status(401), "me:s3cret@", "", 1) + "/x.raw"}, "wants credentials (401)", "USER:PASSWORD", false},
		"403":          {fetch.Request{URI: status(403) + "/x.raw?sig=s3cret"}, "denies access (403)", "expired", false},
		"404":          {fetch.Request{URI: status(404) + "/x.raw?sig=s3cret"}, "does not have it (404)", "check the URI", true},
		"410":          {fetch.Request{URI: status(410) + "/x.raw?sig=s3cret"}, "does not have it (410)", "check the URI", true},
		"418":          {fetch.Request{URI: status(418) + "/x.raw?sig=s3cret"}, "status 418 (I'm a teapot)", "check the URI", false},
		"500":          {fetch.Request{URI: status(500) + "/x.raw?sig=s3cret"}, "gave up after 3 tries: the server 127.0.0.1", "later", false},
		"cut":          {fetch.Request{URI: lies + "/x.raw"}, "gave up after 3 tries, at byte 5 of 9: the server", "later", false},
		"stall":        {fetch.Request{URI: silent + "/x.raw"}, "at byte 5 of 9: the server", "network", false},
		"garbage":      {fetch.Request{URI: raw("SSH-2.0-OpenSSH_9.2\r\n") + "/x.raw"}, "malformed HTTP response", "", false},
		"nothing":      {fetch.Request{URI: raw("") + "/x.raw"}, "breaks the connection", "later", false},
		"certificate":  {fetch.Request{URI: secure + "/x.raw?sig=s3cret"}, "certificate that this machine does not trust", "authority's", false},
		"other host":   {fetch.Request{URI: nowhere}.Trusting(pool).Dialing(strings.TrimPrefix(secure, "https://me:s3cret@")), "certificate that this machine does not trust: x509: certificate is valid for example.com, *.example.com, not images.test", "authority's", false},
		"HTTP as TLS":  {fetch.Request{URI: strings.Replace(status(200), "http:", "https:", 1) + "/x.raw"}, "speaks plain HTTP, not HTTPS", "port", false},
		"no host":      {lookup(net.DNSError{Name: "images.test", IsNotFound: true}), "the server images.test cannot be found", "spelling", false},
		"no DNS":       {lookup(net.DNSError{Name: "images.test", IsTimeout: true}), "no name server answers", "name servers", false},
		"refused":      {fails(syscall.ECONNREFUSED), "refuses the connection", "the server runs", false},
		"unreachable":  {fails(syscall.ENETUNREACH), "cannot be reached from here", "network", false},
		"reset":        {fails(syscall.ECONNRESET), "breaks the connection", "later", false},
		"timeout":      {fails(syscall.ETIMEDOUT), "does not answer", "port", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := download(t, tt.r.Impatient())
			wantError(t, err, tt.err, tt.advice)
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error %q shows a secret", err)
			}
			if errors.Is(err, fetch.ErrNotFound) != tt.missing {
				t.Errorf("%v is ErrNotFound: %v", err, !tt.missing)
			}
		})
	}
}

// TestChanged promises that what is copied is of one version, and that its name
// and digest are too.
func TestChanged(t *testing.T) {
	t.Parallel()
	n := 0
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 1 {
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "first")
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("ETag", `"2"`)
		_, _ = io.WriteString(w, "second one")
	})
	g, err := download(t, fetch.Request{URI: address + "/x.raw"}.Impatient())
	want := fetch.Result{Digest: digest("second one"), Size: 10, ETag: `"2"`}
	if err != nil || g.body != "second one" {
		t.Fatalf("got %q, %v", g.body, err)
	}
	if diff := cmp.Diff(want, g.Result); diff != "" {
		t.Error(diff)
	}
}

// TestRightAfterWrong promises that a digest is judged on what was written last.
func TestRightAfterWrong(t *testing.T) {
	t.Parallel()
	n := 0
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 1 {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "wrong")
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "image")
	})
	g, err := download(t, fetch.Request{URI: address + "/x.raw", Digest: string(digest("image"))}.Impatient())
	if err != nil || g.body != "image" {
		t.Errorf("%q, %v", g.body, err)
	}
	var mismatch *source.MismatchError
	if _, err := download(t, fetch.Request{URI: address + "/x.raw", Digest: string(digest("x"))}); !errors.As(err, &mismatch) || mismatch.Got != digest("image") {
		t.Errorf("got %v", err)
	}
}
