package layer

import (
	"context"
	"errors"
	"fmt"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// MergedError says that a hierarchy is merged already.
type MergedError struct{ Path string }

func (e *MergedError) Error() string { return fmt.Sprintf("hierarchy %q is already merged", e.Path) }

// MayMerge returns why nothing can be merged without a refresh, nil if it can: a
// *MergedError. What a merge left that was killed half way, as its report says, is
// no reason.
func MayMerge(k extension.Kind, merged []Hierarchy, before *Report) error {
	if len(merged) == 0 || before != nil && before.Pending {
		return nil
	}
	return hint.Wrap(&MergedError{merged[0].Path}, "to merge anew: inlay "+k.Name+" refresh")
}

// Unchanged says whether a refresh would find that nothing has changed, as far as
// that can be told before anything is mounted. It changes nothing.
func (n *Native) Unchanged(ctx context.Context, p *Plan, o RunOptions) (bool, error) {
	old, err := n.find(ctx, p.Request.Kind, p.Request.Hierarchies)
	if err != nil || len(old) == 0 || len(p.Unsettled()) > 0 {
		return false, err
	}
	before, err := ReadReport(n.root, p.Request.Kind)
	if err != nil {
		return false, err
	}
	j := &job{Native: n, plan: p, kind: p.Request.Kind, old: old}
	err = j.compare(before, o)
	if errors.Is(err, errUnchanged) {
		return true, nil
	}
	return false, err
}
