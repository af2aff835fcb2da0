package media

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"inlay/internal/efi"
	"inlay/internal/extension"
	"inlay/internal/fetch"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/secureboot"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// extensionsFolder is where, on a medium, the boot step and installers look.
const extensionsFolder = "extensions"

// Extension is one that lies on a medium. Its JSON form is documented in
// docs/json.md and stays compatible.
type Extension struct {
	Path    string          `json:"path"`   // on the medium
	Origin  string          `json:"origin"` // where it came from
	Size    int64           `json:"size"`
	Digest  string          `json:"digest"` // sha256:…
	Verdict *verify.Verdict `json:"verdict"`

	source string
}

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

// collector brings extensions together.
type collector struct {
	judge  *Judge
	fetch  fetch.Request // all but URI and Progress
	folder string        // for what is fetched; made when it is needed
	output string
	clean  []func()
}

// isURI says whether a user who writes text means a URI.
func isURI(text string) bool {
	scheme, _, ok := strings.Cut(text, ":")
	if !ok {
		return false
	}
	switch fetch.Scheme(strings.ToLower(scheme)) {
	case fetch.HTTPS, fetch.HTTP, fetch.File, fetch.OCI:
		return true
	}
	return false
}

// add verifies one extension, a file or what a URI names.
func (c *collector) add(ctx context.Context, text string) (*Extension, error) {
	e := &Extension{Origin: text, source: text}
	name := filepath.Base(text)
	if isURI(text) {
		var err error
		if name, err = c.download(ctx, e); err != nil {
			return nil, err
		}
	}
	if !strings.HasSuffix(name, ".raw") {
		return nil, hint.Wrap(fmt.Errorf("the extension %q is not called NAME.sysext.raw or NAME.confext.raw", name), "give the file a name that systems look for")
	}
	if err := fetch.CheckName(name); err != nil {
		return nil, err
	}
	e.Path = extensionsFolder + "/" + name
	return e, c.check(ctx, e)
}

// check gives the verdict on e, and says what it is.
func (c *collector) check(ctx context.Context, e *Extension) error {
	var err error
	if e.Verdict, err = c.judge.Check(ctx, e.source, e.Origin); err != nil {
		return err
	}
	// The path is one of this machine, for the time of the build.
	e.Verdict.Path = e.Path
	e.Size, e.Digest, err = digestFile(ctx, e.source)
	return err
}

// download fetches e into a folder beside the output and returns its name.
func (c *collector) download(ctx context.Context, e *Extension) (string, error) {
	request := c.fetch
	request.URI = e.Origin
	d, err := fetch.Open(ctx, request)
	if err != nil {
		return "", err
	}
	defer d.Close()
	e.Origin = d.Source
	if c.folder == "" {
		if c.folder, err = os.MkdirTemp(c.output, ".inlay-extensions-"); err != nil {
			return "", err
		}
		c.clean = append(c.clean, func() { _ = os.RemoveAll(c.folder) })
	}
	if err := fetch.CheckName(d.FileName); err != nil {
		return "", err
	}
	e.source = filepath.Join(c.folder, d.FileName)
	f, err := os.OpenFile(e.source, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		err = hint.Wrap(fmt.Errorf("two extensions are called %q", d.FileName), "leave one out")
	}
	if err != nil {
		return "", err
	}
	_, err = d.Copy(ctx, f)
	return d.FileName, errors.Join(err, f.Close())
}

func (c *collector) close() {
	for _, f := range c.clean {
		f()
	}
}

// overlayExtensions finds the extensions in an overlay: what installers take from
// a medium, wherever it lies, and all images where the boot step looks.
func overlayExtensions(overlay string) ([]*Extension, error) {
	root, err := os.OpenRoot(overlay)
	if err != nil {
		return nil, fmt.Errorf("opening the overlay: %w", err)
	}
	defer root.Close()
	var found []*Extension
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading the overlay: %w", err)
		}
		if d.IsDir() {
			return nil
		}
		_, known := extension.KindOfFile(name)
		if !known && (filepath.Dir(name) != extensionsFolder || !strings.HasSuffix(name, ".raw")) {
			return nil
		}
		info, err := root.Stat(name)
		if err != nil {
			return hint.Wrap(fmt.Errorf("the extension %q in the overlay is a link that leads nowhere on the medium", name), "put the file itself there")
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		path := filepath.Join(overlay, filepath.FromSlash(name))
		found = append(found, &Extension{Path: name, Origin: path, source: path})
		return nil
	})
	return found, err
}

// digestFile returns the size and the digest of a file.
func digestFile(ctx context.Context, path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	return digestOf(ctx, f)
}

// digestOf returns how much r holds, and the digest of that.
func digestOf(ctx context.Context, r io.Reader) (int64, string, error) {
	h := sha256.New()
	n, err := io.Copy(h, &stopping{ctx, r})
	return n, "sha256:" + hex.EncodeToString(h.Sum(nil)), err
}
