package fetch

import (
	"context"
	"crypto/x509"
	"net"
	"net/url"
	"time"

	"inlay/internal/source"
	"inlay/internal/transfer"
)

// Impatient makes a request give up soon.
func (r Request) Impatient() Request {
	r.patience = transfer.Patience{Stall: time.Second, Tries: 3, Backoff: time.Millisecond}
	return r
}

// Trusting makes a request trust the authorities in pool.
func (r Request) Trusting(pool *x509.CertPool) Request {
	r.roots = pool
	return r
}

// Dialing makes a request find every host at address.
func (r Request) Dialing(address string) Request {
	r.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return r
}

// Failing makes a request find no host, for the reason err.
func (r Request) Failing(err error) Request {
	r.dial = func(context.Context, string, string) (net.Conn, error) { return nil, err }
	return r
}

// DispositionName is what a Content-Disposition proposes.
func DispositionName(header string) string { return dispositionName(header) }

// FindSum looks names up in a list of digests.
func FindSum(sums []byte, names ...string) (source.Digest, error) { return findSum(sums, names...) }

// URL returns what would be asked for.
func (r Ref) URL() *url.URL { return r.url }
