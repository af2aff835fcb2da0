package node

import (
	"context"
	"fmt"

	"inlay/internal/hint"
	"inlay/internal/store"
)

// run finds the images of a change and makes it, all of it or nothing.
func (n *Node) run(ctx context.Context, r ChangeRequest, what func([]store.Image) change) (*Changed, error) {
	// A name that is not there, or an image that may not be used, should not
	// make a store, nor wait for whoever uses it.
	images, do, err := n.plan(ctx, r, what)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		return changedOf(r, images, nil), nil
	}
	var result *Changed
	err = n.locked(ctx, func(notes []string) error {
		if images, do, err = n.plan(ctx, r, what); err != nil {
			return err
		}
		result = changedOf(r, images, append(notes, do.notes...))
		return n.apply(ctx, r, do, images, result)
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// plan finds the images and holds them to what the change asks of each.
func (n *Node) plan(ctx context.Context, r ChangeRequest, what func([]store.Image) change) ([]store.Image, change, error) {
	images, err := n.find(r.Patterns, r.All)
	if err != nil {
		return nil, change{}, err
	}
	do := what(images)
	for _, im := range images {
		if do.check == nil {
			break
		}
		if err := do.check(ctx, im); err != nil {
			return nil, change{}, err
		}
	}
	return images, do, nil
}

func changedOf(r ChangeRequest, images []store.Image, notes []string) *Changed {
	result := &Changed{Profiles: r.Profiles, DryRun: r.DryRun, Notes: notes}
	for _, im := range images {
		result.Images = append(result.Images, im.FileName)
	}
	return result
}

// apply makes the change, in the running system too if asked; if that fails, all
// of it is undone, live and on disk.
func (n *Node) apply(ctx context.Context, r ChangeRequest, do change, images []store.Image, result *Changed) error {
	c, err := n.store.Begin()
	if err != nil {
		return err
	}
	now := r.Now && do.acts
	if now {
		if err := c.Live(); err != nil {
			return err
		}
		if err := do.live(c, images); err != nil {
			return err
		}
	}
	if err := do.store(c, images); err != nil {
		return err
	}
	if now {
		notes, err := n.leaveOut(ctx, c)
		if err != nil {
			return err
		}
		result.Notes = append(result.Notes, notes...)
		c.Merging()
		err = n.refresh(ctx)
		if err == nil && do.merged {
			err = n.refusedNow(context.WithoutCancel(ctx), images) // the merge is done, whoever interrupted it
		}
		if err != nil {
			return n.putBack(ctx, c, err)
		}
		result.Refreshed = true
	}
	result.Done = !c.Empty()
	err = c.Keep()
	if now && err == nil {
		err = n.store.Refreshed()
	} else if now {
		err = n.mergeAgain(ctx, err)
	}
	if err != nil {
		return err
	}
	// It is done, whoever interrupts it now.
	ctx = context.WithoutCancel(ctx)
	if do.merged {
		n.remember(ctx, images)
	}
	if now && do.merged {
		result.Notes = append(result.Notes, n.passedOver(ctx, images)...)
	}
	return nil
}

// remember notes what was found out about images that another tool brought, for
// lists to show. That they go without is no reason to fail.
func (n *Node) remember(ctx context.Context, images []store.Image) {
	for _, im := range images {
		if im.Record != nil {
			continue
		}
		if v, err := n.look(ctx, im); err == nil {
			_ = n.store.Remember(im, store.Record{Verdict: summarize(v)})
		}
	}
}

// passedOver names the images that a refresh which succeeded did not merge, as
// they don't fit the host.
func (n *Node) passedOver(ctx context.Context, images []store.Image) []string {
	seen, err := n.Merger.Seen(ctx, n.Kind)
	if err != nil {
		return []string{"what is merged now cannot be told: " + err.Error()}
	}
	var notes []string
	for _, im := range images {
		switch s := seen[im.Name]; {
		case n.stranger(s) != "":
			notes = append(notes, fmt.Sprintf("%s is enabled and was not merged: %s has its name and comes first", im.Name, s.Path))
		case s.Merged:
		case s.Why != "":
			notes = append(notes, fmt.Sprintf("%s is enabled and was not merged: %s", im.Name, s.Why))
		default:
			notes = append(notes, fmt.Sprintf("%s is enabled and was not merged: %s says why", im.Name, n.command("explain", im.Name)))
		}
	}
	return notes
}

// refusedNow says that a refresh has left out one of the images, which fits the
// host: to enable it now has failed. All others are merged, which is no comfort.
func (n *Node) refusedNow(ctx context.Context, images []store.Image) error {
	seen, err := n.Merger.Seen(ctx, n.Kind)
	if err != nil {
		return err
	}
	for _, im := range images {
		if s := seen[im.Name]; !s.Merged && s.Refused {
			return hint.Wrap(fmt.Errorf("%s was left out: %s", im.Name, s.Why), n.command("explain", im.Name)+" says more")
		}
	}
	return nil
}
