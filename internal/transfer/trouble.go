package transfer

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// Trouble says in words what became of a server that could not be spoken to,
// as in "the server H refuses the connection", and what to do about it. Both
// are "" for an err that it has no better words for than its own.
func Trouble(err error) (what, advice string) {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
		if what, _ = Trouble(op.Err); what == "" {
			what = "cannot be used"
		}
		return "cannot be reached: the proxy of this machine's environment " + what, "check HTTPS_PROXY and HTTP_PROXY, and NO_PROXY for servers that need none"
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	var distrust *tls.CertificateVerificationError
	switch {
	case IsUnreachable(err):
		return "cannot be reached from here", "check this machine's network and its proxy settings"
	case isDNS && dns.IsNotFound:
		return "cannot be found", "check the spelling of the host"
	case isDNS:
		return "cannot be looked up: no name server answers", "check this machine's network and its name servers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses the connection", "check the host and the port, and that the server runs"
	case errors.As(err, &distrust):
		return "has a certificate that this machine does not trust: " + clip(distrust.Err.Error()), "install the authority's certificate, and check the clock"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "speaks plain HTTP, not HTTPS", "check the scheme and the port"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "does not speak HTTPS", "check the scheme and the port"
	case errors.Is(err, io.EOF), IsReset(err):
		return "breaks the connection", "try again later"
	case isTimeout(err):
		return "does not answer", "check the host, the port and the proxy settings"
	}
	return "", ""
}

// Cause strips the method and the URL that net/http puts in front: a signed URL
// is a secret.
func Cause(err error) error {
	for {
		u, ok := errors.AsType[*url.Error](err)
		if !ok {
			return err
		}
		err = u.Err
	}
}

// IsUnreachable tells that there is no way to the server's network.
func IsUnreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}

// IsReset tells that the other side has dropped the connection.
func IsReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isHopeless tells that the server, or what lies before it, will not answer any
// better later.
func isHopeless(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) ||
		errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, new(tls.RecordHeaderError))
}

// isNowhere tells that there is no such server. If it has answered before, that
// may pass.
func isNowhere(err error) bool {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	return isDNS && dns.IsNotFound || errors.Is(err, syscall.ECONNREFUSED) || IsUnreachable(err)
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

// IsPassing tells whether an answer of this status may be another one later.
func IsPassing(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}
