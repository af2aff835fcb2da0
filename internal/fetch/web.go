package fetch

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/source"
	"inlay/internal/transfer"
)

// web is a file on a web server.
type web struct {
	file   *transfer.File
	client *http.Client
	host   string
	known  bool // credentials were given
}

func (r Request) openHTTP(ctx context.Context, ref Ref, want source.Digest) (*Download, error) {
	d := &Download{Source: ref.String(), Digest: want, Plain: ref.Scheme == HTTP && want == ""}
	w := &web{client: r.client(), host: ref.url.Host, known: ref.url.User != nil}
	d.content = w
	o := w.options(ref.url, r.patience)
	var sums []byte
	if r.Checksums {
		var err error
		if sums, err = w.sums(ctx, o); err != nil {
			w.close()
			return nil, err
		}
	}
	o.Progress = r.Progress
	file, err := transfer.OpenFile(ctx, o)
	if err != nil {
		w.close()
		return nil, w.explain(err)
	}
	w.file = file
	n := namesOf(ref.url, file.From, file.Header)
	d.FileName, d.Size = n.best(), file.Size
	if r.Checksums {
		if err := d.take(sums, n, want); err != nil {
			w.close()
			return nil, err
		}
	}
	return d, nil
}

// take adds what SHA256SUMS says. The name that was asked for is the publisher's;
// others are for addresses that are no names.
func (d *Download) take(sums []byte, n names, want source.Digest) error {
	listed, err := findSum(sums, n.asked, n.header, n.found)
	if err != nil {
		return err
	}
	d.Digest, err = agree(listed, sumsName, want, "the request")
	return err
}

func (r Request) client() *http.Client {
	p := r.patience.OrDefault()
	t := transfer.Transport(transfer.TransportOptions{Stall: p.Stall, Dial: r.dial, Roots: r.roots})
	// A connection serves one file. Kept alive, one that sent more than it had
	// announced would have net/http write to the log.
	t.DisableKeepAlives = true
	check := transfer.CheckRedirect("the server")
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if err := checkRedirect(req.URL, via[len(via)-1].URL); err != nil {
			return transfer.Permanent(err)
		}
		if err := check(req, via); err != nil {
			return transfer.Permanent(err)
		}
		req.Header.Del("Referer") // an address can be a secret
		return nil
	}}
}

// checkRedirect keeps to the web, and to HTTPS once the way has come to it.
func checkRedirect(to, from *url.URL) error {
	switch {
	case to.Scheme == string(HTTPS):
		return nil
	case to.Scheme != string(HTTP):
		return errors.New("the server redirects to something that is not on the web")
	case from.Scheme == string(HTTPS):
		return hint.Wrap(fmt.Errorf("the server redirects from https to http, at %s", to.Host),
			"ask for an address that stays with https; if you trust the network, name the http: address yourself")
	}
	return nil
}

func (w *web) options(u *url.URL, p transfer.Patience) transfer.FileOptions {
	o := transfer.FileOptions{Client: w.client, Patience: p, Header: http.Header{}}
	clean := *u
	if u.User != nil {
		// As a header of our own it also goes to where the same host redirects, and
		// no error that quotes an address can quote it.
		password, _ := u.User.Password()
		o.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
		clean.User = nil
	}
	o.URL = &clean
	return o
}

// sums fetches SHA256SUMS from the folder of the file.
func (w *web) sums(ctx context.Context, o transfer.FileOptions) ([]byte, error) {
	beside := *o.URL
	path := beside.EscapedPath()
	beside.RawPath = path[:strings.LastIndexByte(path, '/')+1] + sumsName
	var err error
	if beside.Path, err = url.PathUnescape(beside.RawPath); err != nil {
		return nil, err
	}
	o.URL = &beside
	file, err := transfer.OpenFile(ctx, o)
	if err != nil {
		return nil, noSums(w.explain(err))
	}
	defer file.Close()
	m := &memory{most: maxSums}
	if _, _, err := file.CopyTo(ctx, m, nil); err != nil {
		return nil, noSums(w.explain(err))
	}
	return m.b, nil
}

func (w *web) close() {
	if w.file != nil {
		w.file.Close()
	}
	w.client.CloseIdleConnections()
}

func (w *web) copyTo(ctx context.Context, dst Destination, want source.Digest) (Result, error) {
	var sum []byte
	if want != "" {
		var err error
		if sum, err = hex.DecodeString(want.Hex()); err != nil {
			return Result{}, err
		}
	}
	got, size, err := w.file.CopyTo(ctx, dst, sum)
	if err != nil {
		return Result{}, w.explain(err)
	}
	return Result{Digest: source.Digest("sha256:" + hex.EncodeToString(got[:])), Size: size, ETag: w.file.ETag()}, nil
}
