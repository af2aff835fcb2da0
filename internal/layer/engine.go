package layer

import (
	"context"

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
