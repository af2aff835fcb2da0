package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"inlay/internal/device"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
)

// Versions of systemd and what they began with.
const (
	readsUnverifiedUntil = 257 // up to it, metadata is read past dm-verity
	policySince          = 254 // --image-policy=, --noexec=
	noReloadSince        = 255
	alwaysSince          = 260 // --always-refresh=; before, a refresh always does something
)

// maxRetries bounds how many images are left out one after the other because
// systemd's tool names them as what it failed of.
const maxRetries = 8

// SystemdOptions are how NewSystemd deviates from the process's own world. The
// zero value is that world.
type SystemdOptions struct {
	Options
	// Within runs something in the mount namespace in which systemd merges; nil is
	// that of PID 1 where systemd is PID 1, else the caller's own.
	Within func(func() error) error
	// Mapper says why there is no dm-verity; nil is device.HaveMapper.
	Mapper func() error
}

// SystemdEngine has systemd merge what a plan says, and nothing else: what is not
// to be merged is hidden from it meanwhile, and what it merged is compared with the
// plan. A difference that the policy doesn't allow unmerges.
//
// It is for one goroutine at a time. Prepare belongs to the plan that is made next,
// and Close ends what it began.
type SystemdEngine struct {
	systemd *Systemd
	native  *Native // for its lock, and its look beneath a merge
	o       SystemdOptions
	base    string
}

// NewSystemd returns the engine for the system below root, which stays the
// caller's.
func NewSystemd(root *os.Root, o SystemdOptions) (*SystemdEngine, error) {
	s := New(root, o.Options)
	native, err := NewNative(root, NativeOptions{Runner: o.Runner, Getenv: o.Getenv, Now: o.Now})
	if err != nil {
		return nil, err
	}
	if o.Mapper == nil {
		o.Mapper = device.HaveMapper
	}
	if o.Within == nil {
		o.Within = func(fn func() error) error {
			if s.running && s.managed() {
				return mount.InNamespaceOf(1, fn)
			}
			return fn()
		}
	}
	return &SystemdEngine{systemd: s, native: native, o: o, base: native.base}, nil
}

// Name implements Engine.
func (e *SystemdEngine) Name() string { return EngineSystemd }

// Close ends what Prepare began, after the plan is closed.
func (e *SystemdEngine) Close() error { return e.native.Close() }

// Prepare implements Engine.
func (e *SystemdEngine) Prepare(ctx context.Context, r *Request) error {
	if err := e.native.Close(); err != nil {
		return err
	}
	version, err := e.systemd.version(ctx, r.Kind)
	if err != nil {
		return err
	}
	r.Engine, r.Systemd = EngineSystemd, version
	r.Mapper = version > readsUnverifiedUntil && e.o.Mapper() == nil
	r.Getenv = e.systemd.o.Getenv
	if e.byService(r) {
		if r.Getenv, err = e.systemd.serviceEnvironment(ctx, r.Kind); err != nil {
			return err
		}
	}
	if err := e.clear(ctx, r.Kind); err != nil {
		return err
	}
	if err := unlink(e.systemd.root, r.Kind, r.Old); err != nil {
		return err
	}
	return e.o.Within(func() error {
		view, err := e.native.lookBeneath(ctx, r)
		if err == nil {
			e.native.view, r.Root = view, view.root
		}
		return err
	})
}

// clear uncovers what a command that was killed has left covered, so that a plan
// sees it; while another command merges, it waits for that.
func (e *SystemdEngine) clear(ctx context.Context, k extension.Kind) error {
	if _, err := e.systemd.root.Lstat(coverName(k)); err != nil {
		return nil //nolint:nilerr // nothing is covered, as far as can be told
	}
	_, err := e.native.locked(ctx, k, func(*Report) (*Result, error) { return nil, e.o.Within(e.covers(k).uncover) })
	return err
}

func (e *SystemdEngine) covers(k extension.Kind) *covers {
	return &covers{root: e.systemd.root, base: e.base, list: coverName(k)}
}

// byService says whether a request leaves everything to systemd's service, whose
// drop-ins then count.
func (e *SystemdEngine) byService(r *Request) bool {
	return e.systemd.running && e.systemd.managed() && len(r.Hierarchies) == 0 && r.Mutable == "" && r.NoExec == nil && !r.Force && !r.PolicyGiven
}

// Merge implements Engine.
func (e *SystemdEngine) Merge(ctx context.Context, p *Plan, o RunOptions) (*Result, error) {
	return e.merge(ctx, p, "merge", o)
}

// Refresh implements Engine.
func (e *SystemdEngine) Refresh(ctx context.Context, p *Plan, o RunOptions) (*Result, error) {
	return e.merge(ctx, p, "refresh", o)
}

// Unmerge implements Engine.
func (e *SystemdEngine) Unmerge(ctx context.Context, k extension.Kind, o RunOptions) (*Result, error) {
	return e.native.locked(ctx, k, func(*Report) (*Result, error) {
		before, err := e.systemd.Merged(ctx, k)
		if err != nil {
			return nil, err
		}
		r := &Result{Engine: EngineSystemd}
		if len(before) == 0 {
			return r, nil
		}
		if err := errors.Join(e.unmerge(ctx, k, o, before), removeReport(e.systemd.root, k)); err != nil {
			return nil, err
		}
		if r.Merged, err = e.systemd.Merged(ctx, k); err != nil {
			return nil, err
		}
		for _, h := range before {
			if !slices.ContainsFunc(r.Merged, func(still Hierarchy) bool { return still.Path == h.Path }) {
				r.Unmerged = append(r.Unmerged, h.Path)
			}
		}
		if len(r.Merged) > 0 {
			return r, fmt.Errorf("unmerging: %q is still merged", r.Merged[0].Path)
		}
		return r, nil
	})
}

// unmerge has systemd's tool unmerge those hierarchies.
func (e *SystemdEngine) unmerge(ctx context.Context, k extension.Kind, o RunOptions, merged []Hierarchy) error {
	version, err := e.systemd.version(ctx, k)
	if err != nil {
		return err
	}
	var paths []string
	for _, h := range merged {
		paths = append(paths, h.Path)
	}
	return e.o.Within(func() error {
		return e.systemd.tool(ctx, k, common(version, o), hierarchyEnvironment(k, paths), "unmerge")
	})
}

// Merged implements Engine.
func (e *SystemdEngine) Merged(ctx context.Context, k extension.Kind) (merged []Hierarchy, err error) {
	return e.systemd.Merged(ctx, k)
}

func (e *SystemdEngine) merge(ctx context.Context, p *Plan, verb string, o RunOptions) (*Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Half a merge helps nobody: see Systemd.Refresh.
	ctx, cancel := e.systemd.limited(ctx)
	defer cancel()
	k := p.Request.Kind
	return e.native.locked(ctx, k, func(*Report) (*Result, error) {
		before, err := e.systemd.Merged(ctx, k)
		if err != nil {
			return nil, err
		}
		if verb == "merge" && len(before) > 0 {
			return nil, hint.Wrap(&MergedError{before[0].Path}, "to merge anew: inlay "+k.Name+" refresh")
		}
		r := &Result{Engine: EngineSystemd, Warnings: slices.Clone(p.Warnings)}
		if err := e.run(ctx, p, verb, o, r); err != nil {
			return r, fmt.Errorf("having %s merge: %w", k.Tool, err)
		}
		if r.Merged, err = e.systemd.Merged(ctx, k); err != nil {
			return r, err
		}
		for _, h := range before {
			if !slices.ContainsFunc(r.Merged, func(now Hierarchy) bool { return now.Path == h.Path }) {
				r.Unmerged = append(r.Unmerged, h.Path)
			}
		}
		weak, err := e.compare(ctx, p, r, o)
		if err != nil {
			return r, errors.Join(err, removeReport(e.systemd.root, k))
		}
		r.Unchanged = len(before) > 0 && slices.EqualFunc(before, r.Merged, func(a, b Hierarchy) bool {
			return a.Path == b.Path && a.Since.Equal(b.Since) && slices.Equal(a.Extensions, b.Extensions)
		})
		report := ReportOf(p, EngineSystemd, e.systemd.o.Now(), func(i *Item) Guarantee {
			if i.Volume == nil || !i.Volume.Protected || weak[i] {
				return Unprotected
			}
			return ByVerity
		})
		report.Warnings = r.Warnings
		return r, report.write(e.systemd.root)
	})
}

// run calls systemd with everything hidden from it that is not to be merged. What
// it names as what it failed of is hidden, too, and the call made again: one bad
// image keeps out no good one.
func (e *SystemdEngine) run(ctx context.Context, p *Plan, verb string, o RunOptions, r *Result) error {
	root, k := e.systemd.root, p.Request.Kind
	// What the look beneath a merge holds would keep its devices busy.
	p.Request.Root = root
	if err := e.native.Close(); err != nil {
		return err
	}
	c := e.covers(k)
	if err := link(root, p); err != nil {
		return err
	}
	for range maxRetries {
		err := e.o.Within(func() (err error) {
			if err := c.uncover(); err != nil { // what a killed command has left
				return err
			}
			places, err := hidden(root, p)
			if err != nil {
				return err
			}
			if err := c.cover(places); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.uncover()) }()
			return e.call(ctx, p, verb, o)
		})
		culprit := p.named(err)
		if err == nil || culprit == nil || ctx.Err() != nil {
			return err
		}
		culprit.settle(refusedAs(fmt.Errorf("systemd fails of it: %w", err)))
		p.release(culprit)
		r.Warnings = append(r.Warnings, Warning{Text: fmt.Sprintf("the extension %q is left out: systemd fails of it", culprit.Name), Hints: culprit.Hints})
		if err := p.arrange(ctx); err != nil {
			return err
		}
	}
	return errors.New("systemd fails of one image after the other")
}

// hidden returns the places that systemd must not see.
func hidden(root *os.Root, p *Plan) ([]string, error) {
	var places []string
	for _, i := range p.Items {
		if i.Candidate == nil || i.State == Merge || i.State == Masked {
			continue
		}
		more, err := coverable(root, i)
		if err != nil {
			return nil, err
		}
		places = append(places, more...)
	}
	slices.Sort(places)
	return slices.Compact(places), nil
}

// named returns the item of which systemd's tool says that it failed, nil if it
// names none that is to be merged.
func (p *Plan) named(err error) *Item {
	if err == nil {
		return nil
	}
	for _, words := range []string{"Failed to read metadata for image "} {
		_, rest, found := strings.Cut(err.Error(), words)
		if !found {
			continue
		}
		for _, i := range p.Merged() {
			if strings.HasPrefix(rest, i.Name+":") {
				return i
			}
		}
	}
	return nil
}

// call has systemd merge: by its service if the request leaves everything to that,
// else by its tool.
func (e *SystemdEngine) call(ctx context.Context, p *Plan, verb string, o RunOptions) error {
	r := &p.Request
	k := r.Kind
	if verb == "refresh" && !p.explicit && r.NoExec == nil && !r.Force && !r.PolicyGiven && !o.NoReload && !o.Always {
		return e.systemd.refresh(ctx, k, RefreshOptions{SetAsideSignatures: r.SetAside})
	}
	args := common(r.Systemd, o)
	if r.PolicyGiven {
		if r.Systemd < policySince {
			return hint.Wrap(fmt.Errorf("systemd %d knows no image policy", r.Systemd), "choose the native engine")
		}
		args = append(args, "--image-policy="+r.Policy.Systemd())
	}
	if r.NoExec != nil {
		args = append(args, "--noexec="+strconv.FormatBool(*r.NoExec))
	}
	if r.Force {
		args = append(args, "--force")
	}
	switch {
	case r.Systemd >= mutableSince:
		args = append(args, "--mutable="+string(r.Mutable))
	case r.Mutable != Immutable:
		return hint.Wrap(fmt.Errorf("systemd %d merges nothing that can be written to", r.Systemd), "choose the native engine")
	}
	if o.Always && r.Systemd >= alwaysSince {
		args = append(args, "--always-refresh=yes")
	}
	env := hierarchyEnvironment(k, r.Hierarchies)
	if r.SetAside {
		env = append(env, setAside)
	}
	return e.systemd.tool(ctx, k, args, env, verb)
}

// common are the arguments of every call.
func common(version int, o RunOptions) []string {
	if o.NoReload && version >= noReloadSince {
		return []string{"--no-reload"}
	}
	return nil
}

// hierarchyEnvironment tells systemd's tool the hierarchies, unless they are its
// own.
func hierarchyEnvironment(k extension.Kind, hierarchies []string) []string {
	var own []string
	for _, h := range k.Mergeable {
		own = append(own, "/"+h)
	}
	slices.Sort(own)
	if slices.Equal(own, hierarchies) || len(hierarchies) == 0 {
		return nil
	}
	return []string{variable(k, "HIERARCHIES") + "=" + strings.Join(hierarchies, ":")}
}
