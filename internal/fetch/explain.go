package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"inlay/internal/hint"
	"inlay/internal/transfer"
)

// explain turns an error of the network or of the server into one line that
// says what it means and, where there is one, what to do about it.
func (w *web) explain(err error) error {
	if g, ok := errors.AsType[*transfer.GaveUpError](err); ok {
		last := w.explain(g.Last)
		return &told{g.Place() + ": " + last.Error(), last}
	}
	said := func(what, advice string) error {
		return hint.Wrap(&told{fmt.Sprintf("the server %s %s", w.host, what), err}, advice)
	}
	if answer, ok := errors.AsType[*transfer.StatusError](err); ok {
		return w.explainStatus(answer)
	}
	switch {
	case errors.Is(err, context.Canceled), len(hint.Of(err)) > 0:
		return err
	case errors.Is(err, transfer.ErrStalled):
		return said("has not sent a byte for too long", "check the network, and try again later")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return said("ends the connection before the end of the file", "try again later")
	}
	if what, advice := transfer.Trouble(err); what != "" {
		return said(what, advice)
	}
	if cause := transfer.Cause(err); strings.Contains(cause.Error(), "Location header") {
		// net/http quotes it, and it may hold a signature.
		return said("redirects to what is not an address", "check the URI")
	}
	return &told{oneLine(transfer.Cause(err)), err}
}

func (w *web) explainStatus(answer *transfer.StatusError) error {
	said := func(what, advice string) error {
		return hint.Wrap(&told{fmt.Sprintf("the server %s %s", w.host, what), answer}, advice)
	}
	switch status := answer.Status; {
	case status == http.StatusNotFound, status == http.StatusGone:
		return &missing{said(fmt.Sprintf("does not have it (%d)", status), "check the URI")}
	case status == http.StatusUnauthorized && !w.known:
		return said("wants credentials (401)", "write them into the URI, as https://USER:PASSWORD@HOST/PATH")
	case status == http.StatusUnauthorized:
		return said("does not take the credentials (401)", "check user and password; percent-encode special characters in them")
	case status == http.StatusForbidden:
		return said("denies access (403)", "check the URI: an address that was signed may have expired")
	case transfer.IsPassing(status):
		return said(answer.Error(), "try again later")
	default:
		return said(answer.Error(), "check the URI")
	}
}

// told has the words for people and keeps the cause for errors.Is.
type told struct {
	text  string
	cause error
}

func (e *told) Error() string { return e.text }
func (e *told) Unwrap() error { return e.cause }

// oneLine makes text that came from elsewhere fit for a terminal.
func oneLine(err error) string {
	const most = 300
	s := strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, err.Error())
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
