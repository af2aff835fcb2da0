package layer

import (
	"context"
	"errors"

	"inlay/internal/extension"
)

// Names of the engines.
const (
	EngineSystemd = "systemd"
	EngineNative  = "native"
)

// Engine merges what a Plan says.
type Engine interface {
	// Name is EngineSystemd or EngineNative.
	Name() string
	// Prepare fills in what the engine decides about a plan that it is to execute:
	// the version of systemd whose rules count, whether data passes through
	// dm-verity, and what lies beneath a merge.
	Prepare(ctx context.Context, r *Request) error
	// Merge merges where nothing is merged; Refresh whatever is.
	Merge(ctx context.Context, p *Plan, o RunOptions) (*Result, error)
	Refresh(ctx context.Context, p *Plan, o RunOptions) (*Result, error)
	// Unmerge takes down what is merged of a kind, whoever merged it.
	Unmerge(ctx context.Context, k extension.Kind, o RunOptions) (*Result, error)
	// Merged returns what is merged of a kind right now, by path.
	Merged(ctx context.Context, k extension.Kind) ([]Hierarchy, error)
	// Close ends what Prepare began, once the plan is closed.
	Close() error
}

// Refresh has an engine plan, and merge what the plan says whatever is merged now.
// The plan is that of the result: closed, for reading. It is nil only if there was
// none.
func Refresh(ctx context.Context, e Engine, r Request, o RunOptions) (*Plan, *Result, error) {
	return run(ctx, e, r, func(p *Plan) (*Result, error) { return e.Refresh(ctx, p, o) })
}

// MergeAnew is Refresh where nothing may be merged yet.
func MergeAnew(ctx context.Context, e Engine, r Request, o RunOptions) (*Plan, *Result, error) {
	return run(ctx, e, r, func(p *Plan) (*Result, error) { return e.Merge(ctx, p, o) })
}

func run(ctx context.Context, e Engine, r Request, do func(*Plan) (*Result, error)) (p *Plan, result *Result, err error) {
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := e.Prepare(ctx, &r); err != nil {
		return nil, nil, err
	}
	if p, err = MakePlan(ctx, r); p != nil {
		defer func() { err = errors.Join(err, p.Close()) }()
	}
	if err != nil {
		return p, nil, err
	}
	result, err = do(p)
	return p, result, err
}

// RunOptions are how an engine goes about it.
type RunOptions struct {
	// NoReload leaves the service manager alone, whatever extensions ask for.
	NoReload bool
	// Always refreshes where nothing has changed, too.
	Always bool
}

// Result is what an engine did.
type Result struct {
	Engine string
	// Merged are the hierarchies that are merged now; Unmerged are the paths of
	// those that no longer are.
	Merged   []Hierarchy
	Unmerged []string
	// Unchanged says that a refresh found nothing to do.
	Unchanged bool
	Warnings  []Warning
}
