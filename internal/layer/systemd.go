package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"inlay/internal/device"
	"inlay/internal/extension"
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
	r.Mapping = e.o.Mapper
	r.Mapper = version > readsUnverifiedUntil && e.o.Mapper() == nil
	r.Getenv = e.systemd.o.Getenv
	if e.byService(r) {
		if r.Getenv, err = e.systemd.serviceEnvironment(ctx, r.Kind); err != nil {
			return err
		}
	}
	if err := e.tidy(ctx, r); err != nil {
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
		before, err := e.Merged(ctx, k)
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
		if r.Merged, err = e.Merged(ctx, k); err != nil {
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
	err = e.inside(func(s *Systemd) (err error) {
		merged, err = s.Merged(ctx, k)
		return err
	})
	return merged, err
}

// inside has fn look at the system as it is where systemd merges.
func (e *SystemdEngine) inside(fn func(*Systemd) error) error {
	return e.o.Within(func() error {
		root, err := os.OpenRoot(e.base + "/")
		if err != nil {
			return err
		}
		defer root.Close()
		there := *e.systemd
		there.root = root
		return fn(&there)
	})
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
		before, err := e.Merged(ctx, k)
		if err != nil {
			return nil, err
		}
		if verb == "merge" {
			if err := MayMerge(k, before, nil); err != nil {
				return nil, err
			}
		}
		r := &Result{Engine: EngineSystemd, Warnings: slices.Clone(p.Warnings)}
		p.Request.SetAside = p.Request.SetAside || p.strangers()
		if err := e.run(ctx, p, verb, o, r); err != nil {
			return r, fmt.Errorf("having %s merge: %w", k.Tool, err)
		}
		if r.Merged, err = e.Merged(ctx, k); err != nil {
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
