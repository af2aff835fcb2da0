package boot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// findTrust collects the anchors, and gives them to systemd. If they cannot be had,
// nobody is trusted, and a signature is asked for.
func (p *pass) findTrust(ctx context.Context) (string, error) {
	p.trust = &Trust{Anchors: &trust.Set{}, Because: "whom to trust could not be found out"}
	t, err := p.Trust(ctx, p.State)
	if err == nil {
		p.trust = t
	}
	r := &Trusted{Policy: p.trust.Policy.String(), Because: p.trust.Because, Systemd: p.trust.Policy.Systemd(), Anchors: []Anchor{}, Problems: p.trust.Anchors.Problems}
	for _, a := range p.trust.Anchors.Anchors {
		sum := a.Fingerprint()
		r.Anchors = append(r.Anchors, Anchor{Subject: a.Certificate.Subject.String(), Fingerprint: hex.EncodeToString(sum[:]), Origin: a.Origin})
	}
	p.report.Trust = r
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("policy %s, %d anchors", r.Policy, len(r.Anchors)), p.export()
}

// judged is an image with its verdict.
type judged struct {
	wanted
	subject *verify.Subject
	verdict *verify.Verdict
}

// judge gives an image its verdict, within the time that one image has.
func (p *pass) judge(ctx context.Context, w wanted) candidate {
	begun := p.Now()
	x := Extension{Kind: w.kind.Name, Name: w.name, FileName: w.fileName, Path: path.Join("/", w.path), From: w.from, Result: Refused}
	if w.image != nil {
		x.ID = w.image.Trial().ID
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.PerImage, errSlow)
	defer cancel()
	type answer struct {
		j   *judged
		err error
	}
	// A read that hangs ends with no context: it is left behind.
	done := make(chan answer, 1)
	go func() {
		j, err := p.verify(ctx, w)
		done <- answer{j, err}
	}()
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		a.err = context.Cause(ctx)
	}
	x.Duration = p.Now().Sub(begun).Milliseconds()
	if a.j != nil && a.j.verdict != nil {
		v := a.j.verdict
		x.Protection, x.RootHash = v.Protection, v.RootHash
		if v.Signer != nil && v.Signer.Trusted {
			x.Signer = v.Signer.Subject
		}
		if v.Refusal != nil {
			x.Hints = v.Refusal.Hints
		}
	}
	if a.err != nil {
		if errors.Is(a.err, errSlow) || errors.Is(a.err, context.DeadlineExceeded) {
			x.Result = LeftOut
		}
		x.Reason = strings.ReplaceAll(a.err.Error(), "\n", "; ")
		if x.Hints == nil {
			x.Hints = hint.Of(a.err)
		}
		return candidate{w, x}
	}
	x.Result = Linked
	return candidate{w, x}
}

var errSlow = errors.New("the check took too long, as a disk does that fails, or one that is very busy")

// verify opens an image and has it judged.
func (p *pass) verify(ctx context.Context, w wanted) (*judged, error) {
	f, err := w.open()
	if err != nil {
		return nil, err
	}
	kind := w.kind
	s, err := verify.From(verify.Given{Path: path.Join("/", w.path), Name: w.name, Kind: &kind, File: f})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }() // it was only read
	host, err := extension.HostAt(content.Folder(p.Target), p.Architecture)
	if err != nil {
		return nil, err
	}
	v, err := verify.Run(ctx, s, verify.Options{
		Anchors: p.trust.Anchors, Policy: p.trust.Policy, Depth: verify.Full, Now: p.Now(),
		RequireValidDates: p.trust.RequireValidDates, Host: &host,
	})
	if err != nil {
		return nil, err
	}
	j := &judged{wanted: w, subject: s, verdict: v}
	if !v.Trusted() {
		return j, v.Err
	}
	return j, p.ownTrust(j)
}
