package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/fetch"
	"inlay/internal/hint"
	"inlay/internal/store"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// DownloadRequest says what to fetch.
type DownloadRequest struct {
	fetch.Request
	// AllowUntrusted lets an image take the place of one that is signed by
	// another key, or signed at all where the new one is not.
	AllowUntrusted bool
	// Verifying is told how far the check of the data is.
	Verifying func(done, total int64)
}

// Downloaded is what came of it.
type Downloaded struct {
	FileName string   `json:"fileName"`
	Path     string   `json:"path"`
	Source   string   `json:"source"`
	Size     int64    `json:"size"`
	Digest   string   `json:"digest"`
	Replaced bool     `json:"replaced"`
	Policy   string   `json:"policy"`
	Warnings []string `json:"warnings,omitempty"`

	Verdict *verify.Verdict `json:"verdict"`
	// Guard is Entry's, for people.
	Guard string `json:"-"`
}

// Download fetches an image into the store. Nobody sees it before it is whole,
// has its digest and is let in by the verdict; what was in its place stays until
// then, and after an error.
func (n *Node) Download(ctx context.Context, r DownloadRequest) (*Downloaded, error) {
	d, err := fetch.Open(ctx, r.Request)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	// Whether the name will do is known before a byte has come.
	name, err := n.fileName(d.FileName)
	if err != nil {
		return nil, err
	}
	staged, err := n.store.Stage(d.Size)
	if err != nil {
		return nil, err
	}
	defer staged.Discard()
	got, err := d.Copy(ctx, staged)
	if err != nil {
		return nil, err
	}
	result := &Downloaded{FileName: name, Source: d.Source, Size: got.Size, Digest: string(got.Digest), Policy: n.rule.Policy.String()}
	if result.Verdict, err = n.letIn(ctx, name, staged, r); err != nil {
		return nil, err
	}
	var e Entry
	e.apply(summarize(result.Verdict))
	result.Guard = e.Guard()
	n.warn(result, d.Plain)
	if err := staged.Sync(); err != nil {
		return nil, err
	}
	return result, n.locked(ctx, func(notes []string) error {
		result.Warnings = append(result.Warnings, notes...)
		return n.keep(ctx, result, staged, r.AllowUntrusted)
	})
}

// letIn asks for the verdict.
func (n *Node) letIn(ctx context.Context, name string, staged *store.Staged, r DownloadRequest) (*verify.Verdict, error) {
	v, err := n.judge(ctx, &verify.Subject{Path: name, Image: staged, Size: staged.Size()}, verify.Full, r.Verifying)
	if err != nil {
		return nil, err
	}
	switch v.Result {
	case verify.Good, verify.Incompatible:
		// What the host would not take may be meant for the system that the
		// next boot brings: a warning.
		return v, nil
	case verify.Refused:
		if is, ok := errors.AsType[*extension.NoReleaseError](v.Err); ok {
			v.Err = n.advise(v.Err, is)
		}
		return nil, n.refused(name, v, "ask whoever made it; inlay verify shows every check")
	}
	return nil, v.Err
}

// advise says what to call an image, by what it says of itself, or which command
// it is for.
func (n *Node) advise(err error, is *extension.NoReleaseError) error {
	switch {
	case len(is.Names) == 0:
		return err
	case is.Kind.Name != n.Kind.Name:
		return hint.Wrap(err, n.downloadAs(is.Kind))
	}
	return hint.Wrap(err, "give it the right name: --name "+typed(is.Names[0]))
}

func (n *Node) downloadAs(k extension.Kind) string {
	return fmt.Sprintf("download it with %s %s download", n.program(), k.Name)
}

// fileName is the name that a downloaded file gets in the store.
func (n *Node) fileName(proposed string) (string, error) {
	if k, known := extension.KindOfFile(proposed); known && k.Name != n.Kind.Name {
		err := hint.Wrap(fmt.Errorf("by its name it is a %s and no %s", k.Name, n.Kind.Name), n.downloadAs(k))
		return "", &RefusedError{proposed, &verify.Verdict{Path: proposed, Result: verify.Refused, Err: err}, err}
	}
	name := strings.TrimSuffix(proposed, ".raw")
	name = strings.TrimSuffix(name, "."+n.Kind.Name)
	if err := extension.CheckName(n.Kind, name); err != nil {
		return "", hint.Default(err, "give it a name with --name")
	}
	return n.Kind.FileName(name), nil
}

// warn says what lets an image in and is still worth knowing.
func (n *Node) warn(d *Downloaded, plain bool) {
	v := d.Verdict
	if v.Result == verify.Incompatible {
		d.Warnings = append(d.Warnings, "this host would not take it: "+v.Refusal.Reason)
	}
	if v.Protection != verify.Signed {
		d.Warnings = append(d.Warnings, d.Guard+": it is let in, since "+n.rule.Because)
		if plain {
			d.Warnings = append(d.Warnings, "it came by plain http without a digest: anybody on the way could have changed it")
		}
	}
	for _, c := range v.Checks {
		if c.State == verify.Unread && c.Check == verify.CheckRelease {
			d.Warnings = append(d.Warnings, "its release file could not be read: "+c.Found)
		}
	}
}

// keep puts the image into the store, as a change of its own.
func (n *Node) keep(ctx context.Context, d *Downloaded, staged *store.Staged, allowed bool) error {
	c, err := n.store.Begin()
	if err != nil {
		return err
	}
	if err := n.put(ctx, c, d, staged, allowed); err != nil {
		return errors.Join(err, c.Undo())
	}
	return c.Keep()
}

// put puts the image into the store, unless that would put a weaker one in the
// place of a stronger.
func (n *Node) put(ctx context.Context, c *store.Change, d *Downloaded, staged *store.Staged, allowed bool) error {
	images, err := n.store.Images()
	if err != nil {
		return err
	}
	// What systemd calls the same is the same, whatever its file is called:
	// kairos-agent takes a plain .raw as it comes.
	name := extension.NameOf(n.Kind, d.FileName)
	var loose []store.Image
	for _, old := range images {
		if old.Name != name {
			continue
		}
		if old.FileName != d.FileName {
			loose = append(loose, old)
		}
		if old.Missing {
			continue
		}
		d.Replaced = true
		if err := n.checkReplacement(ctx, old, d.Verdict); err != nil && !allowed {
			return err
		}
	}
	record := store.Record{Digest: d.Digest, Source: d.Source, Fetched: n.Now().UTC(), Verdict: summarize(d.Verdict)}
	if err := c.Put(staged, d.FileName, record); err != nil {
		return err
	}
	for _, old := range loose {
		if err := n.takeOver(c, old, d.FileName); err != nil {
			return err
		}
	}
	d.Path = "/" + n.store.Path() + "/" + d.FileName
	return nil
}

// takeOver gives the image fileName the links of an old one, which goes.
func (n *Node) takeOver(c *store.Change, old store.Image, fileName string) error {
	image := []store.Image{{FileName: fileName, Name: old.Name}}
	if err := c.Enable(image, old.Profiles); err != nil {
		return err
	}
	if err := c.UnlinkRun([]store.Image{old}); err != nil {
		return err
	}
	if err := c.Remove([]store.Image{old}); err != nil {
		return err
	}
	if !old.Linked {
		return nil
	}
	return c.LinkRun(image)
}

// checkReplacement refuses to trade a signature for none, or for another's. One
// that may not be used any more counts too, unless who is trusted signed the new.
func (n *Node) checkReplacement(ctx context.Context, old store.Image, v *verify.Verdict) error {
	before, err := n.look(ctx, old)
	if err != nil {
		return err
	}
	was, is := summarize(before), summarize(v)
	if was.Signer == "" && old.Record != nil && old.Record.Verdict != nil {
		// What cannot be told any more was known when it was let in.
		was = old.Record.Verdict
	}
	unusable := before.Result != verify.Good && before.Result != verify.Incompatible
	var why error
	switch {
	case was.Signer == "" && before.Result == verify.Unreadable:
		why = fmt.Errorf("whose signature the one in the store has cannot be told: %w", before.Err)
	case was.Signer == "", unusable && v.Standing == trust.Trusted,
		is.SignerFingerprint != "" && is.SignerFingerprint == was.SignerFingerprint:
		return nil
	case is.Signer == "":
		why = fmt.Errorf("the one in the store is signed by %s, and this one is not signed", was.Signer)
	default:
		why = fmt.Errorf("the one in the store is signed by %s, this one by %s", signerOf(was), signerOf(is))
	}
	why = hint.Wrap(why, "pass --allow-untrusted if that is meant, or download it under another --name")
	return &RefusedError{old.FileName, &verify.Verdict{Path: old.FileName, Result: verify.Refused, Signer: v.Signer, Err: why}, why}
}

// NotFound says whether err is about an extension that is not there.
func NotFound(err error) bool {
	_, ambiguous := errors.AsType[*store.AmbiguousError](err)
	return ambiguous || errors.Is(err, store.ErrNotFound) || errors.Is(err, fetch.ErrNotFound)
}
