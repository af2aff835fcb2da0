// Package fetch brings one file, the image of an extension, from where a URI
// says: https:, http:, file: or oci:, each with or without "//" behind it.
//
// Over HTTP it takes up again what breaks off, but only what is sure to be the
// rest of the same version of the file (package transfer); from a registry it
// takes an artifact that is a raw image, or a container image with one raw image
// in its layers (package source). Whatever is promised of the file, by a digest,
// a line in SHA256SUMS or a manifest, is held against every byte that was written.
//
// Left out on purpose: packed images (.raw.xz), several files at once, and any
// judgement of what was fetched: that is for the packages of trust.
package fetch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"inlay/internal/hint"
	"inlay/internal/source"
	"inlay/internal/transfer"
)

// Request says what to fetch. Only URI must be given.
type Request struct {
	URI string
	// Name is what the file shall be called, whatever its server calls it.
	Name string
	// Digest is what the file must have: "sha256:" and 64 hex digits. It must agree
	// with the URI's own fragment "#sha256=…", if there is one.
	Digest string
	// Checksums asks for the file's line in SHA256SUMS in the same folder.
	Checksums bool

	// Architecture picks from what a registry has for several, in Go's words; ""
	// means this machine's.
	Architecture string
	// AuthFile and Insecure are for registries only, as in source.Options.
	AuthFile string
	Insecure bool

	// Progress, if set, is told how many bytes have come and how many there are,
	// as far as known (else done). It may go back to 0.
	Progress func(done, total int64)

	patience transfer.Patience                                                    // zero means the default
	dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil means the system's
	roots    *x509.CertPool                                                       // nil means the system's
}

// ErrNotFound tells that there is nothing where the URI points.
var ErrNotFound = errors.New("there is no such file")

// Destination is what a file is written to: an empty file.
type Destination = transfer.Destination

// Download is a file whose beginning has been reached.
type Download struct {
	FileName string // what to call it: one name, no path; its suffix is whatever it is
	Size     int64  // bytes; -1 if the server doesn't say
	Source   string // where it comes from, for people and records; without secrets
	Digest   source.Digest
	// Plain says that anybody may have changed the file on its way: that begins with
	// plain HTTP, and the request names no digest. One in SHA256SUMS came the same way.
	Plain bool

	text    string // for messages
	content content
}

// content is the file on its server.
type content interface {
	// copyTo writes the file and returns what was written. want may be "".
	copyTo(ctx context.Context, dst Destination, want source.Digest) (Result, error)
	close()
}

// Result is what was written.
type Result struct {
	Digest source.Digest // of the file
	Size   int64
	ETag   string // the server's name for this version of the file; may be ""
}

// Open finds the file, learns what it is called and how long it is, and which
// digest it must have. The download must be closed; it ends with ctx.
func Open(ctx context.Context, r Request) (*Download, error) {
	ref, err := ParseURI(r.URI)
	if err != nil {
		return nil, err
	}
	d, err := r.open(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("downloading %q: %w", ref, err)
	}
	d.text = ref.String()
	return d, nil
}

func (r Request) open(ctx context.Context, ref Ref) (*Download, error) {
	want, err := r.want(ref)
	if err != nil {
		return nil, err
	}
	if r.Name != "" {
		if err := CheckName(r.Name); err != nil {
			return nil, err
		}
	}
	var d *Download
	switch ref.Scheme {
	case HTTP, HTTPS:
		d, err = r.openHTTP(ctx, ref, want)
	case File:
		d, err = r.openFile(ref, want)
	case OCI:
		d, err = r.openOCI(ctx, ref)
	default:
		err = fmt.Errorf("the scheme %q is not known", ref.Scheme)
	}
	if err != nil {
		return nil, err
	}
	if d.Digest == "" {
		d.Digest = want
	}
	if r.Name != "" {
		d.FileName = r.Name
	}
	if d.FileName == "" {
		d.Close()
		return nil, hint.Wrap(errors.New("nothing there says what to call the file"), "give it a name with --name")
	}
	return d, nil
}

// want returns what the request and the URI say of the file's digest.
func (r Request) want(ref Ref) (source.Digest, error) {
	if r.Digest == "" {
		return ref.Digest, nil
	}
	given, err := parseDigest(r.Digest)
	if err != nil {
		return "", err
	}
	return agree(given, "--digest", ref.Digest, "the URI")
}

// agree returns the one digest that two places give, each of which may give none.
func agree(a source.Digest, fromA string, b source.Digest, fromB string) (source.Digest, error) {
	switch {
	case a == "":
		return b, nil
	case b == "" || a == b:
		return a, nil
	}
	return "", hint.Wrap(fmt.Errorf("%s says that the file has the digest %s, %s says %s", fromA, a, fromB, b),
		"find out which is right, and leave the other away")
}

// Close ends the download. What was copied stays.
func (d *Download) Close() { d.content.close() }

// Copy writes the file to dst. After an error dst holds rubbish. A file that
// hasn't the digest it must have ends in a *source.MismatchError. A download can
// be copied once.
func (d *Download) Copy(ctx context.Context, dst Destination) (Result, error) {
	w := &watched{Destination: dst}
	res, err := d.content.copyTo(ctx, w, d.Digest)
	switch {
	case w.err != nil:
		return res, w.err // the store's own words
	case err != nil:
		return res, fmt.Errorf("downloading %q: %w", d.text, err)
	case d.Digest != "" && res.Digest != d.Digest:
		return res, fmt.Errorf("downloading %q: %w", d.text, hint.Wrap(
			&source.MismatchError{What: "the file", Want: d.Digest, Got: res.Digest},
			"ask whoever publishes it for the right digest; if theirs is the one that was asked for, don't use this file"))
	}
	return res, nil
}

// missing says that it is ErrNotFound, in its own words.
type missing struct{ error }

func (m *missing) Unwrap() error        { return m.error }
func (m *missing) Is(target error) bool { return target == ErrNotFound }
