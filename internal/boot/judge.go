package boot

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// forTheRest is the part of a pass's time, one in so many, that no check of an image
// gets: what was found good is still to be linked and merged.
const forTheRest = 4

// stalled is how long a check may come no further before its disk is taken for one
// that hangs.
const stalled = 5 * time.Second

// verdict is what a check of an image came to.
type verdict struct {
	*verify.Verdict
	err error
}

// judge gives an image its verdict, within the time that one image has. Between it
// and the merge the file could still be exchanged or written to: so whoever merges
// judges again, systemd by the certificates that were laid down and the native engine
// by the very file that it mounts. Here it is decided what is linked at all.
func (p *pass) judge(ctx context.Context, w wanted) candidate {
	begun := p.Now()
	x := Extension{Kind: w.kind.Name, Name: w.name, FileName: w.fileName, Path: path.Join("/", w.path), From: w.from, Result: Refused}
	if w.image != nil {
		x.ID = w.image.Trial().ID
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.total()-p.total()/forTheRest-p.Now().Sub(p.begun), errOutOfTime)
	defer cancel()
	v, moving := p.within(ctx, w, verify.Full, p.PerImage)
	if errors.Is(v.err, errSlow) && moving && !p.Strict && p.trust.Policy.NeedsSignature() {
		// A large image on a slow disk. Its signature and the top of its hash tree say
		// whose it is, and no block is used that doesn't fit them.
		if top, _ := p.within(ctx, w, verify.Top, p.PerImage); top.err == nil && top.Protection == verify.Signed {
			v, x.Depth = top, string(verify.Top)
			x.Reason = fmt.Sprintf("not every block could be read in %v: those that are wrong cannot be read once it is merged", p.PerImage)
		}
	}
	x.Duration = p.Now().Sub(begun).Milliseconds()
	x.describe(v)
	if v.err == nil {
		v.err = p.mergeable(ctx, w, v.Verdict)
		if v.err != nil {
			x.Result = LeftOut
			x.because(v.err)
		}
	}
	return candidate{w, x, v.Verdict}
}

// describe writes into x what its check found.
func (x *Extension) describe(v verdict) {
	if v.Verdict != nil {
		x.Protection, x.RootHash = v.Protection, v.RootHash
		if v.Signer != nil && v.Signer.Trusted {
			x.Signer = v.Signer.Subject
		}
	}
	switch {
	case v.err == nil:
		x.Result = Linked
		return
	case errors.Is(v.err, errSlow), errors.Is(v.err, errOutOfTime):
		x.Result = LeftOut
	case errors.Is(v.err, errCrashed):
	case v.Verdict == nil: // it could not even be opened
		x.Result = Unreachable
	case v.Result == verify.Missing, v.Result == verify.Unreadable:
		x.Result = Unreachable
	}
	x.because(v.err)
}

func (x *Extension) because(err error) {
	x.Reason, x.Hints = strings.ReplaceAll(err.Error(), "\n", "; "), hint.Of(err)
}

// within gives a verdict by a depth within a time, and says whether it was still
// coming on when that was over. A read that hangs ends with no context: it is left
// behind.
func (p *pass) within(ctx context.Context, w wanted, depth verify.Depth, limit time.Duration) (v verdict, moving bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errSlow)
	defer cancel()
	var last atomic.Int64 // when it came on
	last.Store(time.Now().UnixNano())
	done := make(chan verdict, 1)
	go func() {
		var given verdict
		defer func() {
			if crash := recover(); crash != nil { // no image keeps its neighbours out
				given = verdict{err: fmt.Errorf("%w: %v", errCrashed, crash)}
			}
			done <- given
		}()
		given.Verdict, given.err = p.verify(ctx, w, depth, func(int64, int64) { last.Store(time.Now().UnixNano()) })
	}()
	select {
	case v = <-done:
	case <-ctx.Done():
		v.err = ctx.Err()
	}
	if ctx.Err() != nil && (errors.Is(v.err, context.DeadlineExceeded) || errors.Is(v.err, context.Canceled)) {
		v.err = context.Cause(ctx)
	}
	return v, time.Since(time.Unix(0, last.Load())) < min(stalled, limit)
}

// verify opens an image and has it judged.
func (p *pass) verify(ctx context.Context, w wanted, depth verify.Depth, progress func(done, total int64)) (*verify.Verdict, error) {
	if p.opening != nil {
		p.opening(w.fileName, func() { progress(0, 0) })
	}
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
		Anchors: p.trust.Anchors, Policy: p.trust.Policy, Depth: depth, Now: p.Now(), Progress: progress, Brief: true,
		RequireValidDates: p.trust.RequireValidDates, Host: &host,
		NoOwnTrust: p.trust.Policy.NeedsSignature() && !p.trust.OwnTrust,
	})
	if err != nil {
		return nil, err
	}
	if !v.Trusted() {
		return v, v.Err
	}
	return v, nil
}

// mergeable says why an image that is good is not linked all the same: systemd would
// merge nothing at all, for want of a way to check its signature.
func (p *pass) mergeable(ctx context.Context, w wanted, v *verify.Verdict) error {
	if p.Merger != nil {
		return nil
	}
	if why := extension.AwkwardName(w.name); why != "" {
		return hint.Wrap(fmt.Errorf("%s: it would merge nothing at all", why), "give the extension another name, or have inlay merge: inlay boot --merge")
	}
	if !hasSignature(v) {
		if v.Protection == verify.Verity && p.requiresSignatures() {
			return hint.Wrap(errors.New("not signed, and the kernel takes no dm-verity without a signature: systemd would merge nothing at all"), "sign it with a key of db")
		}
		return nil
	}
	if p.untold != nil {
		return fmt.Errorf("it is signed, and systemd would merge nothing at all, since it may not know by whom: %w", p.untold)
	}
	signed := p.trust.Policy.NeedsSignature()
	switch at, known := p.anchorOf(v); {
	case known && p.kernelOnly() && !strings.Contains(at, "firmware db"):
		return hint.Wrap(fmt.Errorf("signed by %s, which is in %s: the kernel alone is to check signatures, and it knows only the firmware's db", v.Signer.Subject, at),
			"sign it with a key of db")
	case known:
		return nil
	case signed:
		return hint.Wrap(fmt.Errorf("signed by %s, whom %s vouches for: systemd knows no chains, and would merge nothing at all", v.Signer.Subject, v.Signer.Anchor),
			"put the signer's own certificate where the anchor is, or have inlay merge: inlay boot --merge")
	case p.DryRun:
		return nil
	case p.SetAside == nil, p.requiresSignatures():
		return unknownSigner(nil)
	}
	if err := p.SetAside(ctx, w.kind); err != nil {
		return unknownSigner(err)
	}
	p.problem("%s: nobody here knows who signed it, and the policy doesn't ask: systemd is told to pass over signatures until the next boot", w.fileName)
	return nil
}

func unknownSigner(err error) error {
	told := errors.New("nobody here knows who signed it, and systemd would merge nothing at all")
	if err != nil {
		told = fmt.Errorf("%w; telling it to pass over signatures: %w", told, err)
	}
	return hint.Wrap(told, "put the signer's certificate into /etc/verity.d")
}

// hasSignature says that an image has a signature.
func hasSignature(v *verify.Verdict) bool {
	for _, c := range v.Checks {
		if c.Check == verify.CheckSignature && c.State == verify.Passed {
			return true
		}
	}
	return v.Signer != nil
}

// anchorOf returns where the signer's own certificate is from, if it is an anchor:
// then systemd finds it, too.
func (p *pass) anchorOf(v *verify.Verdict) (origin string, known bool) {
	if v.Signer == nil || !v.Signer.Trusted {
		return "", false
	}
	for _, a := range p.trust.Anchors.Anchors {
		if fingerprint(a) == v.Signer.Fingerprint {
			return a.Origin, true
		}
	}
	return "", false
}

func fingerprint(a trust.Anchor) string {
	sum := a.Fingerprint()
	return fmt.Sprintf("%x", sum)
}
