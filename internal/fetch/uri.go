package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"inlay/internal/hint"
	"inlay/internal/source"
)

// Scheme says by which way a file comes.
type Scheme string

// The schemes.
const (
	HTTPS Scheme = "https"
	HTTP  Scheme = "http"
	File  Scheme = "file"
	OCI   Scheme = "oci"
)

// maxURI bounds a URI. Signed addresses have a kilobyte or two.
const maxURI = 8192

const usage = "write https://HOST/PATH, http://HOST/PATH, file:PATH or oci:HOST/NAME[:TAG|@sha256:DIGEST]"

// Ref is a parsed URI.
type Ref struct {
	Scheme Scheme
	Path   string        // file: as it was written
	Image  string        // oci: as it was written
	Digest source.Digest // of the file, from the fragment; "" if none was given

	url *url.URL // https, http; with what is secret in it
}

// String returns the URI without what may be secret: user and password, the
// query, which may hold a signature, and the fragment, which is of no interest.
func (r Ref) String() string {
	switch {
	case r.url != nil:
		return bare(r.url)
	case r.Scheme == File && strings.HasPrefix(r.Path, "//"):
		return "file://" + r.Path
	case r.Scheme == File:
		return "file:" + r.Path
	}
	return string(r.Scheme) + ":" + r.Image
}

func bare(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.RawQuery != "" {
		return shown.String() + "?…"
	}
	return shown.String()
}

// ParseURI reads a URI: https:, http:, file: or oci:, each also with // after the
// colon, and #sha256=DIGITS at its end, which says what the file must have. No
// error quotes what could be a password.
func ParseURI(text string) (Ref, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return Ref{}, hint.Wrap(errors.New("the URI is empty"), usage)
	case len(text) > maxURI:
		return Ref{}, hint.Wrap(fmt.Errorf("the URI has %d bytes, more than %d", len(text), maxURI), usage)
	case !utf8.ValidString(text), strings.ContainsFunc(text, unicode.IsControl):
		return Ref{}, hint.Wrap(errors.New("the URI holds characters that cannot be typed"), usage)
	}
	word, rest, ok := strings.Cut(text, ":")
	if !ok {
		return Ref{}, noScheme(text)
	}
	r := Ref{Scheme: Scheme(strings.ToLower(word))}
	rest = strings.TrimPrefix(rest, "//")
	if i := strings.LastIndex(rest, "#sha256="); i >= 0 {
		digest, err := parseDigest("sha256:" + rest[i+len("#sha256="):])
		if err != nil {
			return Ref{}, err
		}
		r.Digest, rest = digest, rest[:i]
		if strings.Contains(rest, "#sha256=") {
			return Ref{}, hint.Wrap(errors.New("the URI names two digests"), "leave the wrong one away")
		}
	}
	var err error
	switch r.Scheme {
	case HTTPS, HTTP:
		r.url, err = parseURL(r.Scheme, rest)
	case File:
		if r.Path = rest; rest == "" {
			err = hint.Wrap(errors.New(`the URI "file:" names nothing`), "write file:PATH")
		}
	case OCI:
		r.Image, err = parseImage(rest)
	default:
		err = noScheme(text)
	}
	if err != nil {
		return Ref{}, err
	}
	return r, nil
}

func noScheme(text string) error {
	err := errors.New("the URI begins with no scheme that is known")
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") {
		return hint.Wrap(err, "for a local file write file:PATH")
	}
	return hint.Wrap(err, usage)
}

// parseURL never passes on an error of net/url: they quote, and what they quote
// may begin in the middle of a password.
func parseURL(s Scheme, rest string) (*url.URL, error) {
	u, err := url.Parse(string(s) + "://" + rest)
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("what follows %s: is not an address", s),
			"percent-encode special characters, those of a password above all: / is %2F, : is %3A, # is %23, % is %25")
	}
	switch {
	case u.Hostname() == "":
		return nil, hint.Wrap(fmt.Errorf("the %s: URI names no host", s), usage)
	case u.Fragment != "":
		return nil, hint.Wrap(fmt.Errorf("the %s: URI has a fragment that is not understood", s),
			"write #sha256= and 64 hex digits, or percent-encode # as %23 where it belongs to the name")
	}
	return u, nil
}

func parseImage(rest string) (string, error) {
	if before, digest, ok := strings.Cut(rest, "@"); ok && (strings.Contains(digest, "@") || !strings.HasPrefix(digest, "sha256:") || before == "") {
		return "", hint.Wrap(errors.New("what follows @ in an oci: URI must be a digest"),
			"write oci:HOST/NAME@sha256:DIGEST; credentials for the registry go into a file for --authfile")
	}
	ref, err := source.Parse("oci:" + rest)
	return ref.Image, err
}

// parseDigest reads sha256:HEX, in either case.
func parseDigest(text string) (source.Digest, error) {
	d, err := source.ParseDigest(strings.ToLower(text))
	return d, hint.Wrap(err, "copy the 64 hex digits that sha256sum prints: --digest sha256:DIGITS, or #sha256=DIGITS at the end of the URI")
}
