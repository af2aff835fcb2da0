package cli

import (
	"context"
	"errors"
	"os"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/node"
)

// merger is layering as a node wants it.
type merger struct{ *layering }

// Refresh implements node.Merger.
func (m merger) Refresh(ctx context.Context, _ extension.Kind, setAside bool) error {
	m.request.SetAside = setAside // of every plan from now on, as each refresh says it anew
	refresh := func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error) {
		return e.Refresh(ctx, p, layer.RunOptions{})
	}
	return m.execute(ctx, refresh, func(layer.Engine, *layer.Plan, *layer.Result, *os.Root) error { return nil })
}

// Seen implements node.Merger.
func (m merger) Seen(ctx context.Context, _ extension.Kind) (map[string]node.Seen, error) {
	seen := map[string]node.Seen{}
	err := m.homeOrHere(func(root *os.Root) error {
		e, err := m.native(root)
		if err != nil {
			return err
		}
		merged, report, err := m.merged(ctx, e, root)
		if err != nil {
			return errors.Join(err, e.Close())
		}
		for _, h := range merged {
			for _, name := range h.Extensions {
				seen[name] = node.Seen{Merged: true}
			}
		}
		if report != nil {
			note(seen, report)
		}
		return e.Close()
	})
	return seen, err
}

// note adds what a report tells to what is merged now.
func note(seen map[string]node.Seen, report *layer.Report) {
	for _, x := range report.Extensions {
		s := seen[x.Name]
		switch {
		case x.State == layer.Merge && s.Merged:
			s.Path, s.Guarantee, s.Why = x.Path, string(x.Guarantee), x.Reason
		case s.Merged || x.State == layer.Merge || x.State == layer.Shadowed || x.State == layer.Skipped:
			continue
		default:
			s.Why, s.Refused = x.Reason, x.State == layer.Refused || x.State == layer.Unreadable
		}
		seen[x.Name] = s
	}
}
