package cli

import (
	"context"
	"os"

	"inlay/internal/extension"
	"inlay/internal/layer"
)

// bootMerger merges for the boot step, by this program's own engines.
type bootMerger struct {
	env  *Env
	root string
}

// Merge implements boot.Merger.
func (m *bootMerger) Merge(ctx context.Context, k extension.Kind) (engine string, err error) {
	s, err := openSystem(m.root)
	if err != nil {
		return "", err
	}
	defer s.close()
	l := newLayering(m.env, s, k)
	refresh := func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error) {
		engine = e.Name()
		return e.Refresh(ctx, p, layer.RunOptions{})
	}
	return engine, l.execute(ctx, refresh, func(layer.Engine, *layer.Plan, *layer.Result, *os.Root) error { return nil })
}
