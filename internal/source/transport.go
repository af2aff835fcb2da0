package source

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// maxRedirects bounds the hops from a registry to where its blobs lie.
	maxRedirects = 5
	// dialTimeout bounds the wait for a server that does not answer at all.
	dialTimeout = 15 * time.Second
)

// baseTransport speaks to registries and to where they redirect.
func baseTransport(o Options, p patience) http.RoundTripper {
	dial := o.dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dial,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: p.stall,
		// A blob is wanted as it is stored: its digest covers the gzip.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: o.Insecure}, //nolint:gosec // the user's own choice
	}
}

// retrying repeats requests that a passing trouble ended before their answer
// began.
func retrying(inner http.RoundTripper, p patience) http.RoundTripper {
	return transport.NewRetry(inner,
		transport.WithRetryBackoff(transport.Backoff{Duration: p.backoff, Factor: 3, Jitter: 0.1, Steps: 3}),
		transport.WithRetryPredicate(func(err error) bool {
			var passing interface{ Temporary() bool }
			return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) ||
				errors.As(err, &passing) && passing.Temporary()
		}),
		transport.WithRetryStatusCodes(http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout))
}

// schemeGuard keeps plain HTTP to this machine unless the user allows it. The
// client library would also try it for private addresses, credentials and all.
type schemeGuard struct {
	inner    http.RoundTripper
	insecure bool
	distrust atomic.Pointer[error] // the last certificate that was refused
}

var errPlainHTTP = errors.New("plain HTTP is not allowed")

func (g *schemeGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.insecure && !isLoopback(req.URL.Hostname()) {
		return nil, errPlainHTTP
	}
	resp, err := g.inner.RoundTrip(req)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		g.distrust.Store(&err)
	}
	return resp, err
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// checkRedirect bounds redirects and keeps them from link-local addresses,
// where clouds serve their machines' secrets.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("the registry redirects more than %d times", maxRedirects)
	}
	if addr, err := netip.ParseAddr(req.URL.Hostname()); err == nil && addr.Unmap().IsLinkLocalUnicast() {
		return fmt.Errorf("the registry redirects to the link-local address %s", addr)
	}
	return nil
}
