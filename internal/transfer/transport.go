package transfer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

const (
	// maxRedirects bounds the hops to where a file lies.
	maxRedirects = 5
	// maxHeader bounds what a server may say before the content. Signed
	// addresses make the longest honest lines, of a few kilobytes.
	maxHeader = 256 << 10
	// DialTimeout bounds the wait for a server that does not answer at all.
	DialTimeout = 15 * time.Second
)

// TransportOptions say how to reach servers. The zero value is usable.
type TransportOptions struct {
	Stall    time.Duration                                                        // for the beginning of an answer; zero means without limit
	Insecure bool                                                                 // take certificates that no authority vouches for
	Roots    *x509.CertPool                                                       // the authorities; nil means the system's
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil means the system's
}

// Transport makes connections, through the environment's proxies. Content comes
// as it is stored: nothing is asked for in a packed form, or unpacked.
func Transport(o TransportOptions) *http.Transport {
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: DialTimeout}).DialContext
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dial,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           8,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    DialTimeout,
		ResponseHeaderTimeout:  o.Stall,
		MaxResponseHeaderBytes: maxHeader,
		// A digest covers what is stored, packed or not.
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: o.Insecure, RootCAs: o.Roots}, //nolint:gosec // the user's own choice
	}
}

// CheckRedirect is the http.Client's own: it bounds redirects and keeps them from
// link-local addresses, where clouds serve their machines' secrets. from names the
// server in messages.
func CheckRedirect(from string) func(req *http.Request, via []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("%s redirects more than %d times", from, maxRedirects)
		}
		if addr, err := netip.ParseAddr(req.URL.Hostname()); err == nil && addr.Unmap().IsLinkLocalUnicast() {
			return fmt.Errorf("%s redirects to the link-local address %s", from, addr)
		}
		return nil
	}
}
