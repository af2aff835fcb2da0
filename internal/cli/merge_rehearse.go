package cli

import (
	"context"
	"os"

	"inlay/internal/layer"
)

// rehearse adds to the report of a plan that is not carried out how that would end.
func (l *layering) rehearse(ctx context.Context, o mergeOptions, e layer.Engine, p *layer.Plan, root *os.Root, r *mergeReport) error {
	if o.anew {
		merged, kept, err := l.merged(ctx, e, root)
		if err == nil {
			err = layer.MayMerge(l.kind, merged, kept)
		}
		if err != nil {
			return err
		}
	} else if native, ok := e.(*layer.Native); ok { // systemd doesn't tell beforehand
		var err error
		if r.Unchanged, err = native.Unchanged(ctx, p, layer.RunOptions{Always: o.always.on()}); err != nil {
			return err
		}
	}
	return r.foresee(ctx, p, o.files)
}

// foresee adds what a dry run shows; with files, file by file.
func (r *mergeReport) foresee(ctx context.Context, p *layer.Plan, files bool) (err error) {
	if r.Conflicts, err = p.Conflicts(ctx); err != nil || !files {
		return err
	}
	r.Changes, r.Vanishing = p.Changes(), p.Vanishing()
	return nil
}
