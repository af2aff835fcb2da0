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
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"inlay/internal/hint"
	"inlay/internal/transfer"
)

// explain turns an error of the network or of the registry into one line that
// says what it means and, where there is one, what to do about it.
func (r *repository) explain(err error, doing string) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, transfer.ErrStalled) {
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
	case errors.Is(err, errPlainHTTP) && !transfer.IsUnreachable(err):
		// Plain HTTP is tried after what cannot be reached, and fails the same way.
		return said("cannot be reached by HTTPS, or sends on to plain HTTP",
			"if you trust the network, allow it with --insecure-registry")
	case errors.As(err, &unknown), errors.As(err, &wrongName), errors.As(err, &invalid):
		return said("has a certificate that this machine does not trust: "+oneLine(certificateCause(err)),
			"install the authority's certificate, or allow it with --insecure-registry")
	case errors.As(err, new(tls.RecordHeaderError)):
		return said("does not speak HTTPS", "check the port, or allow plain HTTP with --insecure-registry")
	case isDNS && dns.IsNotFound && host == name.DefaultRegistry && !transfer.IsUnreachable(err):
		return said("cannot be found", "check this machine's network; a name without a host is asked for at Docker Hub")
	case errors.Is(err, syscall.ECONNREFUSED):
		return said("refuses the connection", "check the host and the port, and that the registry runs")
	}
	if what, advice := transfer.Trouble(err); what != "" {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // to a reader io.EOF would be a good end
		}
		return said(what, advice)
	}
	return fmt.Errorf("%s from %s: %w", doing, host, transfer.Cause(err))
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

func (e *netError) Is(target error) bool {
	answer, ok := errors.AsType[*transport.Error](e.cause)
	return target == ErrNotFound && ok && answer.StatusCode == http.StatusNotFound
}

func certificateCause(err error) error {
	if c, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return c.Err
	}
	return transfer.Cause(err)
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
