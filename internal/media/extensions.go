package media

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/fetch"
	"inlay/internal/hint"
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

// extensions verifies what lies on the medium.
func (m *medium) extensions(ctx context.Context, architecture string) error {
	if m.Type != OutputISO {
		return nil
	}
	var found []*Extension
	if m.Overlay != "" {
		var err error
		if found, err = overlayExtensions(m.Overlay); err != nil {
			return err
		}
	}
	if len(found) == 0 && len(m.Extensions) == 0 {
		return nil
	}
	m.step(StepVerify)
	judge, err := m.judge(architecture)
	if err != nil {
		return err
	}
	c := &collector{judge: judge, fetch: m.Fetch, output: m.UKI.Output}
	m.closers = append(m.closers, c.close)
	for _, e := range found {
		err := c.check(ctx, e)
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			if !m.AllowUntrusted {
				return hint.Wrap(err, "take it out of the overlay, or pass --allow-untrusted to put it on the medium all the same")
			}
			m.warn(refused.Error())
			e.Verdict = refused.Verdict
			if e.Size, e.Digest, err = digestFile(ctx, e.source); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		m.result.Extensions = append(m.result.Extensions, e)
	}
	for _, text := range m.Extensions {
		e, err := c.add(ctx, text)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(m.result.Extensions, func(other *Extension) bool { return other.Path == e.Path }) {
			return hint.Wrap(fmt.Errorf("%q is to be put on the medium twice", e.Path), "leave one out")
		}
		m.result.Extensions = append(m.result.Extensions, e)
	}
	return nil
}

func (m *medium) judge(architecture string) (*Judge, error) {
	judge, err := NewJudge(m.Keys, m.UKI.Signer, m.UKI.Certificates)
	if err != nil {
		return nil, err
	}
	release, err := m.system.Release()
	if err != nil {
		return nil, err
	}
	host, err := extension.HostFrom(release.Text, architecture)
	if err != nil {
		return nil, err
	}
	judge.Host, judge.Now = &host, m.Now
	return judge, nil
}
