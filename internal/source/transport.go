package source

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"inlay/internal/transfer"
)

// baseTransport speaks to registries and to where they redirect.
func baseTransport(o Options, p transfer.Patience) http.RoundTripper {
	return transfer.Transport(transfer.TransportOptions{Stall: p.Stall, Insecure: o.Insecure, Dial: o.dial})
}

// retrying repeats requests that a passing trouble ended before their answer
// began.
func retrying(inner http.RoundTripper, p transfer.Patience) http.RoundTripper {
	return transport.NewRetry(inner,
		transport.WithRetryBackoff(transport.Backoff{Duration: p.Backoff, Factor: 3, Jitter: 0.1, Steps: 3}),
		transport.WithRetryPredicate(func(err error) bool {
			var passing interface{ Temporary() bool }
			return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || transfer.IsReset(err) ||
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
