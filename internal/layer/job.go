package layer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
)

// job is one merge or refresh.
type job struct {
	*Native
	plan    *Plan
	kind    extension.Kind
	mounter *mount.Mounter
	now     time.Time
	// old is what is merged, and oldWork the work folders that it uses.
	old     []merge
	oldWork []string
	sources map[*Item]*source
	origin  []byte
	trees   []*built
	// made are hierarchies, below the root, that the host didn't have.
	made      []string
	announced *Report // what a kill would have to be cleared away by
	warnings  []Warning
	closers   []func() error
}

// execute makes what is merged what the plan says.
func (n *Native) execute(ctx context.Context, p *Plan, old []merge, before *Report, o RunOptions) (_ *Result, err error) {
	if len(old) > 0 && (n.view == nil || n.view.apart == nil) {
		return nil, hint.Wrap(errTwice, "try again")
	}
	j := &job{
		Native: n, plan: p, kind: p.Request.Kind, now: n.o.Now(), old: old, sources: map[*Item]*source{},
		mounter: n.newMounter(),
	}
	defer func() { err = errors.Join(err, j.close()) }()
	for _, m := range old {
		work, err := workOf(n.root, m.place, j.kind)
		if err != nil {
			return nil, err
		}
		j.oldWork = append(j.oldWork, work)
	}
	if err := j.assemble(ctx, before, o); err != nil {
		if errors.Is(err, errUnchanged) {
			return j.unchanged(before)
		}
		return nil, err
	}
	var wanted wishes
	if !o.NoReload {
		wanted = n.wishesOfMerged(j.kind, old)
	}
	gone, err := j.commit(ctx)
	if err != nil {
		return nil, errors.Join(err, j.undoFolders(before))
	}
	return j.conclude(ctx, gone, wanted, before, o)
}

// errUnchanged ends a refresh that would change nothing.
var errUnchanged = errors.New("nothing has changed")

// assemble builds the new trees. Nobody sees anything of them.
func (j *job) assemble(ctx context.Context, before *Report, o RunOptions) error {
	if err := j.recheck(); err != nil {
		return err
	}
	settled := len(j.plan.Unsettled()) == 0
	if settled {
		if err := j.compare(before, o); err != nil {
			return err
		}
	}
	planned := len(j.plan.Merged())
	if err := j.view.within(func() error { return j.mountImages(ctx) }); err != nil {
		return err
	}
	if !settled || len(j.plan.Merged()) != planned {
		if err := j.compare(before, o); err != nil {
			return err
		}
	}
	if err := j.announce(before); err != nil {
		return err
	}
	err := j.view.within(func() error { return j.buildAll(ctx) })
	if err != nil {
		return errors.Join(err, j.undoFolders(before))
	}
	return nil
}

// recheck sees which hierarchies are there by now: one that an interrupted merge had
// made is gone since the plan was.
func (j *job) recheck() error {
	for n := range j.plan.Stacks {
		s := &j.plan.Stacks[n]
		_, err := j.plan.Request.Root.Lstat(s.Place)
		missing := absent(err)
		if s.Idle || missing == s.Missing {
			continue
		}
		if !missing {
			return hint.Wrap(fmt.Errorf("hierarchy %q has appeared meanwhile", s.Path), "try again")
		}
		s.Missing, s.Bare = true, true
	}
	return nil
}

func (j *job) buildAll(ctx context.Context) error {
	for n := range j.plan.Stacks {
		s := &j.plan.Stacks[n]
		if s.Idle {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := j.build(s)
		if err != nil {
			return fmt.Errorf("merging into %q: %w", s.Path, err)
		}
		j.trees = append(j.trees, b)
	}
	return nil
}

// compare describes the merge, and returns errUnchanged if that is what is merged
// already. It runs in the caller's mount namespace, whose numbers it compares.
func (j *job) compare(before *Report, o RunOptions) error {
	dirs, err := mutableDirs(j.plan)
	if err != nil {
		return err
	}
	origin, err := j.originOf(j.plan, dirs)
	if err != nil {
		return err
	}
	if j.origin, err = origin.text(); err != nil {
		return err
	}
	if o.Always || len(j.old) == 0 {
		return nil
	}
	// The same image again is what heals one that gives I/O errors.
	if before != nil && (before.Pending || before.Inspect()) {
		return nil
	}
	mounts, err := mount.Mounts()
	if err != nil {
		return err
	}
	for _, s := range j.plan.Stacks {
		at := slices.IndexFunc(j.old, func(m merge) bool { return m.place == s.Place })
		if (at >= 0) == s.Idle {
			return nil
		}
		if at < 0 {
			continue
		}
		text, err := readMark(j.root, s.Place, j.kind, markOrigin)
		if err != nil {
			return err
		}
		if !isSame(text, j.origin) || !j.hasFlags(mounts, j.old[at].path) {
			return nil
		}
	}
	for _, m := range j.old {
		if !slices.ContainsFunc(j.plan.Stacks, func(s Stack) bool { return s.Place == m.place }) {
			return nil
		}
	}
	return errUnchanged
}

// hasFlags says whether what is merged has the flags that it would get again.
func (j *job) hasFlags(mounts []mount.Info, at string) bool {
	on, known := mount.Covering(mounts, at)
	return known && on.MountPoint == at && slices.Contains(splitOptions(on.Options), "noexec") == j.isNoExec()
}

// isNoExec says whether nothing is to be executed of what is merged.
func (j *job) isNoExec() bool {
	flags, _, err := j.overlayOptions(&writing{})
	return err == nil && flags&mount.NoExec != 0
}

// unchanged is the result of a refresh that did nothing.
func (j *job) unchanged(before *Report) (*Result, error) {
	r := &Result{Engine: EngineNative, Unchanged: true, Warnings: j.plan.Warnings}
	for _, m := range j.old {
		r.Merged = append(r.Merged, m.Hierarchy)
	}
	// What is passed over may be another now, and has its reasons.
	report := j.report(false)
	if before != nil {
		report.Time, report.Made = before.Time, before.Made
		report.keepGuarantees(before)
	}
	return r, report.write(j.root)
}

// conclude tells of a merge that is in place.
func (j *job) conclude(ctx context.Context, gone []merge, wanted wishes, before *Report, o RunOptions) (*Result, error) {
	r := &Result{Engine: EngineNative}
	for _, m := range gone {
		r.Unmerged = append(r.Unmerged, m.Path)
	}
	var errs []error
	for _, work := range j.oldWork {
		errs = append(errs, dropWork(j.root, j.kind, work))
	}
	if before != nil {
		// Hierarchies that are none any more may have been made for it.
		errs = append(errs, removeMade(j.Native, before.Made))
	}
	merged, err := j.find(context.WithoutCancel(ctx), j.kind, j.plan.Request.Hierarchies)
	if err != nil {
		errs = append(errs, err)
	}
	for _, m := range merged {
		r.Merged = append(r.Merged, m.Hierarchy)
	}
	j.warnHolders(ctx)
	if !o.NoReload {
		wanted.add(j.wishesOf(j.plan))
		j.warnings = append(j.warnings, j.reload(ctx, wanted)...)
	}
	r.Warnings = append(j.plan.Warnings, j.warnings...)
	errs = append(errs, j.report(false).write(j.root))
	return r, errors.Join(errs...)
}

func (j *job) warn(err error) {
	j.warnings = append(j.warnings, Warning{Text: err.Error(), Hints: hint.Of(err)})
}

// close lets go of everything that is not in place.
func (j *job) close() error {
	var errs []error
	for _, s := range j.sources {
		if s.tree != nil {
			errs = append(errs, s.tree.Close())
		}
	}
	for _, c := range j.closers {
		errs = append(errs, c())
	}
	return errors.Join(append(errs, j.mounter.Close())...)
}
