package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"inlay/internal/hint"
)

// explain turns an error of the network or of the registry into one line that
// says what it means and, where there is one, what to do about it.
func (r *repository) explain(err error, doing string) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, errStalled) {
		return err
	}
	host := r.name.RegistryStr()
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		return r.explainStatus(answer, doing)
	}
	said := func(what, advice string) error {
		return hint.Wrap(&netError{fmt.Sprintf("%s: the registry %s %s", doing, host, what), err}, advice)
	}
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch dns, isDNS := errors.AsType[*net.DNSError](err); {
	case errors.Is(err, http.ErrSchemeMismatch):
		return said("speaks plain HTTP, not HTTPS", "if you trust the network, allow it with --insecure-registry")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		// Before plain HTTP, which is tried after it and fails the same way.
		return said("cannot be reached from here", "check this machine's network and its proxy settings")
	case errors.Is(err, errPlainHTTP):
		return said("cannot be reached by HTTPS, or sends on to plain HTTP",
			"if you trust the network, allow it with --insecure-registry")
	case errors.As(err, &unknown), errors.As(err, &wrongName), errors.As(err, &invalid):
		return said("has a certificate that this machine does not trust: "+oneLine(certificateCause(err)),
			"install the authority's certificate, or allow it with --insecure-registry")
	case errors.As(err, new(tls.RecordHeaderError)):
		return said("does not speak HTTPS", "check the port, or allow plain HTTP with --insecure-registry")
	case isDNS && dns.IsNotFound && host == name.DefaultRegistry:
		return said("cannot be found", "check this machine's network; a name without a host is asked for at Docker Hub")
	case isDNS && dns.IsNotFound:
		return said("cannot be found", "check the spelling of the host")
	case isDNS:
		return said("cannot be looked up: no name server answers", "check this machine's network and its name servers")
	case errors.Is(err, syscall.ECONNREFUSED):
		return said("refuses the connection", "check the host and the port, and that the registry runs")
	case errors.Is(err, io.EOF), isReset(err):
		// Not io.EOF any more: to a reader that would be a good end.
		err = io.ErrUnexpectedEOF
		return said("breaks the connection", "try again later")
	case isTimeout(err):
		return said("does not answer", "check the host, the port and the proxy settings")
	}
	return fmt.Errorf("%s from %s: %w", doing, host, plainCause(err))
}

func (r *repository) explainStatus(answer *transport.Error, doing string) error {
	host, repo := r.name.RegistryStr(), r.name.RepositoryStr()
	said := func(what, advice string) error {
		return hint.Wrap(&netError{fmt.Sprintf("%s: the registry %s %s", doing, host, what), answer}, advice)
	}
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized && !r.known:
		return said(fmt.Sprintf("wants credentials for %s", repo),
			fmt.Sprintf("log in with docker login or podman login %s, or name a file with --authfile; check the name, too", host))
	case status == http.StatusUnauthorized:
		return said(fmt.Sprintf("does not take the credentials for %s", repo), "log in again")
	case status == http.StatusForbidden:
		return said(fmt.Sprintf("denies access to %s", repo), "ask for the right to pull, or log in as somebody who has it")
	case status == http.StatusNotFound:
		return said(fmt.Sprintf("does not have it in %s (404)", repo), "check the name and the tag")
	case status == http.StatusTooManyRequests:
		return said("has had too many requests (429)", "wait, or log in to be allowed more")
	default:
		return said(fmt.Sprintf("answers with status %d", status), "try again later")
	}
}

// netError has the words for people and keeps the cause for errors.Is.
type netError struct {
	text  string
	cause error
}

func (e *netError) Error() string { return e.text }
func (e *netError) Unwrap() error { return e.cause }

// plainCause strips the method and the URL that net/http puts in front: a
// signed URL is a secret.
func plainCause(err error) error {
	for {
		u, ok := errors.AsType[*url.Error](err)
		if !ok {
			return err
		}
		err = u.Err
	}
}

func certificateCause(err error) error {
	if c, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return c.Err
	}
	return plainCause(err)
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// oneLine flattens text that came from elsewhere.
func oneLine(err error) string {
	return clipText(strings.Join(strings.Fields(err.Error()), " "))
}

func clipText(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
