package layer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"inlay/internal/device"
	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/verify"
)

// outcome is an error that says what becomes of an item, beside why.
type outcome struct {
	state State
	err   error
}

func (o *outcome) Error() string { return o.err.Error() }
func (o *outcome) Unwrap() error { return o.err }

func ignored(err error) error    { return &outcome{Ignored, err} }
func refusedAs(err error) error  { return &outcome{Refused, err} }
func unreadable(err error) error { return &outcome{Unreadable, err} }

// settle has an error decide what becomes of an item. What nobody has decided on
// is not merged.
func (i *Item) settle(err error) {
	if err == nil {
		return
	}
	i.State = Refused
	if o, ok := errors.AsType[*outcome](err); ok {
		i.State = o.state
	}
	i.Reason, i.Hints = strings.ReplaceAll(err.Error(), "\n", "; "), hint.Of(err)
}

// judge says what becomes of a candidate. The error is that of ctx.
func (p *Plan) judge(ctx context.Context, c *discover.Candidate) (*Item, error) {
	i := &Item{Name: c.Name, Place: path.Join("/", c.Place), State: Merge, Candidate: c}
	if c.Masks {
		i.State, i.Reason = Masked, "an empty folder: nothing is merged by this name"
		return i, nil
	}
	err := p.suits(c)
	if err == nil {
		err = p.open(ctx, i)
	}
	if err == nil {
		err = p.look(i)
	}
	if ctx.Err() != nil {
		p.release(i)
		return nil, ctx.Err()
	}
	if i.settle(err); i.State != Merge {
		p.release(i)
	}
	return i, nil
}

// open opens a candidate and has it verified: the very file that is used.
func (p *Plan) open(ctx context.Context, i *Item) error {
	o, err := i.Candidate.Open(p.Request.Root)
	if err != nil {
		return unreadable(err)
	}
	i.Opened = o
	options := p.options(p.Request.Mapper || p.Request.Seal != nil)
	// Nothing of a folder can be vouched for. Its files are looked at once, when it is
	// known whose lie beneath.
	options.Brief = o.Folder != nil
	v, err := verify.Run(ctx, o.Subject, options)
	if err != nil {
		return err
	}
	i.Verdict = v
	if p.Request.Force && o.Folder != nil && errors.Is(v.Err, extension.ErrNoRelease) {
		return nil
	}
	if err := verdict(v); err != nil {
		return err
	}
	if p.Request.Policy.NeedsSignature() {
		if err := o.Exposed(); err != nil {
			return refusedAs(hint.Default(fmt.Errorf("others could exchange it: %w", err), "leave it, and the folders above it, to root"))
		}
	}
	if o.Folder != nil {
		return nil
	}
	if err := p.machine(i); err != nil {
		return err
	}
	if err := p.checkable(i); err != nil {
		return err
	}
	if err := p.mappable(i); err != nil {
		return err
	}
	return p.use(ctx, i)
}

// options are those of the verifier. Where the data passes through dm-verity, or
// is still to be copied, its top is enough.
func (p *Plan) options(top bool) verify.Options {
	r := &p.Request
	depth := verify.Full
	if top {
		depth = verify.Top
	}
	return verify.Options{Anchors: r.Anchors, Policy: r.Policy, Depth: depth, Now: r.Now, RequireValidDates: r.RequireValidDates}
}

// verdict makes an outcome of a verdict.
func verdict(v *verify.Verdict) error {
	switch {
	case v.Trusted():
		return nil
	case v.Result == verify.Unreadable, v.Result == verify.Missing:
		return unreadable(v.Err)
	case errors.Is(v.Err, extension.ErrNoRelease), errors.Is(v.Err, extension.ErrAmbiguousRelease):
		return ignored(v.Err)
	default:
		return refusedAs(v.Err)
	}
}

// mappable refuses what systemd's merge would fail of as a whole for want of
// device-mapper.
func (p *Plan) mappable(i *Item) error {
	r, v := &p.Request, i.Verdict
	if r.Engine != EngineSystemd || v.RootHash == "" {
		return nil
	}
	missing := r.Mapping()
	if missing == nil {
		return nil
	}
	// Up to 257, a root hash that nothing but the partitions' names state isn't
	// looked for, and the data is mounted as it is.
	if r.Systemd < rootHashGuessedSince && (v.Signer == nil || r.SetAside) && len(i.Opened.Subject.Statements) == 0 {
		return nil
	}
	return refusedAs(hint.Wrap(fmt.Errorf("systemd wants dm-verity for it: %w", missing), "choose the native engine, which checks a copy"))
}

// rootHashGuessedSince is the systemd that began to take the root hash from the
// GUIDs of the partitions.
const rootHashGuessedSince = 258

// use finds what is to be mounted of an image, in a copy of it if that is wanted.
func (p *Plan) use(ctx context.Context, i *Item) error {
	r, o := &p.Request, i.Opened
	file := o.File
	if i.Verdict.Protection != verify.Unprotected && !r.Mapper && r.Seal != nil {
		sealed, err := device.Sealed(ctx, o.File, o.Subject.Size, p.sealOptions(o.Subject.Size))
		if err != nil {
			return sealing(err)
		}
		file = sealed
		// What is verified from here on is the copy. It goes with the plan.
		p.closers = append(p.closers, sealed.Close)
		o.Subject.Image = sealed
		v, err := verify.Run(ctx, o.Subject, p.options(false))
		if err != nil {
			return err
		}
		i.Verdict = v
		if err := verdict(v); err != nil {
			return err
		}
	}
	vol, err := volumeOf(o, file, i.Verdict)
	if err != nil {
		return refusedAs(err)
	}
	i.Volume = vol
	return nil
}

// sealOptions say where a copy of size bytes is kept. All copies together take no
// more memory than one may, as long as there is somewhere else to keep them.
func (p *Plan) sealOptions(size int64) device.SealOptions {
	o := *p.Request.Seal
	if o.Folder != nil && p.inMemory+size > cmp.Or(o.Memory, device.DefaultMemory) {
		o.Memory = -1
	} else {
		p.inMemory += size
	}
	return o
}

// sealing says what became of a copy.
func sealing(err error) error {
	err = fmt.Errorf("copying it to where nobody can change it, as there is no dm-verity: %w", err)
	if errors.Is(err, device.ErrTooLarge) {
		return refusedAs(hint.Default(err, "use a kernel with dm-verity"))
	}
	return unreadable(err)
}

// release closes what an item that isn't merged holds open.
func (p *Plan) release(i *Item) {
	_ = i.close()
	i.Opened, i.Volume, i.tree, i.Unsettled = nil, nil, nil, false
}
