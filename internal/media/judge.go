package media

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"inlay/internal/efi"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// RefusedError tells that the system on the medium would not use an extension,
// or that there is none.
type RefusedError struct {
	Origin  string
	Verdict *verify.Verdict
}

// Error says in one line what the verdict says in many.
func (e *RefusedError) Error() string {
	reason := "it was not verified"
	if r := e.Verdict.Refusal; r != nil {
		reason = r.Reason
	}
	if e.Verdict.Result == verify.Missing {
		return fmt.Sprintf("reading the extension %q: %s", e.Origin, reason)
	}
	return fmt.Sprintf("the system would not use the extension %q: %s", e.Origin, reason)
}

// advice is what to do next.
func (e *RefusedError) advice() string {
	if r := e.Verdict.Refusal; r != nil {
		switch {
		case e.Verdict.Result == verify.Missing:
			return "check the spelling of the path"
		case r.Check == verify.CheckSignature || r.Check == verify.CheckPolicy:
			return "sign it with a key of the set: inlay sign FILE --private-key KEYS/db.key --certificate KEYS/db.pem"
		case len(r.Hints) > 0:
			return r.Hints[0]
		}
	}
	return "build it anew: inlay build; inlay verify says what is wrong with it"
}

// Judge says whether the system on a medium would use an extension: whether it is
// signed by a certificate that its firmware gets from the same medium, whole, and
// for this system.
type Judge struct {
	Anchors *trust.Set
	// Host is the system; nil asks for none.
	Host *extension.Host
	Now  time.Time
}

// NewJudge returns the judge whose anchors are the certificates in PK, KEK and db
// of set, which may be nil, and others. A db certificate that is only used to
// sign counts if there is nothing to enrol.
func NewJudge(set *secureboot.Set, signer *keys.Pair, others []Certificate) (*Judge, error) {
	var given []trust.Given
	add := func(origin string, certs ...*x509.Certificate) {
		for _, c := range certs {
			given = append(given, trust.Given{Origin: origin, PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})})
		}
	}
	enrolled := false
	if set != nil {
		for _, name := range []string{"PK", "KEK", "db"} {
			if !set.HasAuth(name) {
				continue
			}
			certs, err := enrolledCertificates(set, name)
			if err != nil {
				return nil, err
			}
			enrolled = true
			add(name+".auth", certs...)
		}
	}
	if signer != nil && !enrolled {
		add("the Secure Boot certificate", signer.Certificate)
	}
	for _, c := range others {
		add("the initrd of the image", c.Certificate)
	}
	anchors, err := trust.Load(trust.Options{Given: given})
	if err != nil {
		return nil, err
	}
	return &Judge{Anchors: anchors}, nil
}

// enrolledCertificates returns those that an update holds.
func enrolledCertificates(set *secureboot.Set, name string) ([]*x509.Certificate, error) {
	data, err := set.Auth(name)
	if err != nil {
		return nil, err
	}
	update, err := efi.ParseUpdate(data)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name+".auth", err)
	}
	lists, err := efi.ParseLists(update.Data)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name+".auth", err)
	}
	var certs []*x509.Certificate
	for _, l := range lists {
		if l.Type != efi.X509() {
			continue
		}
		for _, e := range l.Entries {
			// One that Go cannot read signs no extension of ours.
			if c, err := x509.ParseCertificate(e.Data); err == nil {
				certs = append(certs, c)
			}
		}
	}
	return certs, nil
}

// Check verifies the extension in the file source, every block of it. A verdict
// that refuses is a *RefusedError.
func (j *Judge) Check(ctx context.Context, source, origin string) (*verify.Verdict, error) {
	o := verify.Options{Anchors: j.Anchors, Host: j.Host, Now: j.Now}
	subject, err := verify.Open(source)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refused(origin, verify.Unopened(source, o, err))
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = subject.Close() }() // it was only read
	if subject.Folder != nil {
		return nil, hint.Wrap(fmt.Errorf("the extension %q is a folder", origin), "build an image of it: inlay build NAME dir:FOLDER")
	}
	verdict, err := verify.Run(ctx, subject, o)
	switch {
	case err != nil:
		return nil, err
	case verdict.Result == verify.Unreadable:
		return nil, fmt.Errorf("reading the extension %q: %w", origin, verdict.Err)
	case !verdict.Trusted() && len(j.Anchors.Anchors) == 0:
		return nil, hint.Wrap(&RefusedError{origin, verdict}, "pass -k DIR with the keys that the medium is to enrol: without any its system trusts nobody")
	case !verdict.Trusted():
		return nil, refused(origin, verdict)
	}
	return verdict, nil
}

func refused(origin string, verdict *verify.Verdict) error {
	e := &RefusedError{origin, verdict}
	return hint.Wrap(e, e.advice())
}
