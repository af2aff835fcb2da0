package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/store"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// leaveOut takes images out of the running system that are linked and refused by
// now, as they would be left out at boot: systemd may not know why they are
// refused, or may merge nothing at all because of one.
func (n *Node) leaveOut(ctx context.Context, c *store.Change) (notes []string, err error) {
	images, err := n.store.Images()
	if err != nil {
		return nil, err
	}
	var out []store.Image
	for _, im := range images {
		if !im.Linked || im.Missing {
			continue
		}
		v, err := n.look(ctx, im)
		if err != nil {
			return nil, err
		}
		if v.Result == verify.Refused {
			out = append(out, im)
			notes = append(notes, fmt.Sprintf("%s is left out of the running system, since it is refused: %s", im.Name, v.Refusal.Reason))
		}
	}
	return notes, c.UnlinkRun(out)
}

// putBack undoes a change that could not be merged.
func (n *Node) putBack(ctx context.Context, c *store.Change, why error) error {
	why = hint.Default(fmt.Errorf("nothing was changed, since merging failed: %w", why),
		n.command("status")+" says which extension is in the way")
	if err := c.Undo(); err != nil {
		return errors.Join(why, fmt.Errorf("putting back what was there: %w", err))
	}
	return n.mergeAgain(ctx, why)
}

// mergeAgain merges what was there before a change that is undone because of why.
func (n *Node) mergeAgain(ctx context.Context, why error) error {
	err := n.refresh(context.WithoutCancel(ctx))
	switch {
	case err == nil:
		return errors.Join(why, n.store.Refreshed())
	case strings.Contains(why.Error(), err.Error()):
		// What stopped the merge was there before. Said once is enough, but not
		// that the running system may have lost what was merged.
		return errors.Join(why, errors.New("what was there cannot be merged again either"))
	}
	return errors.Join(why, fmt.Errorf("merging again what was there: %w", err))
}

// catchUp merges anew after a command that was killed between merging and keeping
// its change, which is undone by now. It returns what to tell of that.
func (n *Node) catchUp(ctx context.Context) []string {
	if !n.store.Stale() {
		return nil
	}
	err := n.refresh(ctx)
	if err == nil {
		err = n.store.Refreshed()
	}
	if err != nil {
		return []string{"the running system may still be merged as an undone command had it, and merging it anew failed: " + err.Error()}
	}
	return []string{"an interrupted command was undone, and the running system merged anew"}
}

// refresh merges what is linked now. Signatures are set aside if one of them is
// by a key that nobody here knows, and the rule lets it in all the same: it would
// keep every other extension from being merged.
func (n *Node) refresh(ctx context.Context) error {
	images, err := n.store.Images()
	if err != nil {
		return err
	}
	aside := false
	for _, im := range images {
		if !im.Linked || im.Missing {
			continue
		}
		v, err := n.look(ctx, im)
		if err != nil {
			return err
		}
		aside = aside || foreign(v)
	}
	return n.Merger.Refresh(ctx, n.Kind, aside && !n.rule.Policy.NeedsSignature())
}

// foreign says that an image has a signature by a key that nobody here knows,
// which the rule lets in as if it had none. It counts even if the host would
// pass over it: systemd looks at signatures first.
func foreign(v *verify.Verdict) bool {
	let := v.Result == verify.Good || v.Result == verify.Incompatible
	return let && hasSignature(v) && v.Standing != trust.Trusted
}
