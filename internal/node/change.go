package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/store"
	"inlay/internal/verify"
)

// ChangeRequest says what to change.
type ChangeRequest struct {
	Patterns []string // names, or regular expressions
	All      bool     // a pattern may fit several images
	Profiles []store.Profile
	Now      bool // in the running system too
	DryRun   bool // say what would be done
}

// Changed is what was done, or would be.
type Changed struct {
	Images   []string        `json:"images"`
	Profiles []store.Profile `json:"profiles,omitempty"`
	// Done says that the store was changed: false if all was so already.
	Done bool `json:"done"`
	// Refreshed says that the running system merged anew.
	Refreshed bool     `json:"refreshed"`
	DryRun    bool     `json:"dryRun,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

// change is one of the three changes.
type change struct {
	// check says why an image may not be changed so; nil if it may.
	check func(context.Context, store.Image) error
	// store changes what later boots find, live the links of the run folder.
	// live comes first: it sees which image a profile's link leads to.
	store func(*store.Change, []store.Image) error
	live  func(*store.Change, []store.Image) error
	// acts says whether a change of images concerns the running system.
	acts bool
	// notes is what to tell, with Now or without.
	notes []string
	// merged says whether the images should be merged after it.
	merged bool
}

// Enable makes profiles use images. With Now they are linked and merged at once,
// if what was booted uses one of the profiles.
func (n *Node) Enable(ctx context.Context, r ChangeRequest) (*Changed, error) {
	return n.run(ctx, r, func([]store.Image) change {
		do := change{
			check:  n.usable,
			store:  func(c *store.Change, images []store.Image) error { return c.Enable(images, r.Profiles) },
			live:   (*store.Change).LinkRun,
			acts:   slices.ContainsFunc(r.Profiles, n.booted),
			merged: true,
		}
		if r.Now && !do.acts {
			do.notes = []string{n.notBooted()}
		}
		return do
	})
}

// Disable makes profiles use images no more. With Now they are taken out of the
// running system, unless another profile of what was booted still uses them.
func (n *Node) Disable(ctx context.Context, r ChangeRequest) (*Changed, error) {
	return n.run(ctx, r, func(images []store.Image) change {
		do := change{
			acts:  true,
			store: func(c *store.Change, images []store.Image) error { return c.Disable(images, r.Profiles) },
		}
		var gone []store.Image
		for _, im := range images {
			left := slices.DeleteFunc(slices.Clone(im.Profiles), func(p store.Profile) bool { return slices.Contains(r.Profiles, p) })
			switch i := slices.IndexFunc(left, n.booted); {
			case i >= 0:
				if r.Now {
					do.notes = append(do.notes, fmt.Sprintf("%s stays in the running system: it is enabled for %s too", im.Name, left[i]))
				}
				continue
			case !r.Now && im.Linked:
				do.notes = append(do.notes, im.Name+" stays in the running system until the next boot; --now takes it out")
			}
			gone = append(gone, im)
		}
		do.live = func(c *store.Change, _ []store.Image) error { return c.UnlinkRun(gone) }
		return do
	})
}

// Remove takes images out of the store and out of every profile. The links in
// the run folder go in any case: they would lead nowhere.
func (n *Node) Remove(ctx context.Context, r ChangeRequest) (*Changed, error) {
	return n.run(ctx, r, func(images []store.Image) change {
		do := change{acts: true, live: (*store.Change).UnlinkRun}
		do.store = func(c *store.Change, images []store.Image) error {
			if err := c.UnlinkRun(images); err != nil {
				return err
			}
			return c.Remove(images)
		}
		for _, im := range images {
			if !r.Now && im.Linked {
				do.notes = append(do.notes, im.Name+" stays in the running system until that is merged anew; --now does so")
			}
		}
		return do
	})
}

// notBooted says why nothing happens now.
func (n *Node) notBooted() string {
	if n.State == nil || n.State.Profile == "" {
		return "nothing was merged: what was booted has no profile (inlay boot state says why)"
	}
	return fmt.Sprintf("nothing was merged: the %s profile is booted", n.State.Profile)
}

// usable says why an image may not be used: an image that boot would refuse is
// not enabled in the first place.
func (n *Node) usable(ctx context.Context, im store.Image) error {
	if im.Missing {
		return hint.Wrap(fmt.Errorf("%q: %w: only links to it are left", im.FileName, store.ErrNotFound), "download it again, or remove it")
	}
	v, err := n.look(ctx, im)
	if err != nil {
		return err
	}
	switch v.Result {
	case verify.Good, verify.Incompatible:
		return nil
	case verify.Refused:
		return &RefusedError{im.FileName, v, hint.Default(v.Err, n.command("explain %s", im.Name)+" says more")}
	}
	return v.Err
}

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
	err = n.locked(ctx, func() error {
		if images, do, err = n.plan(ctx, r, what); err != nil {
			return err
		}
		result = changedOf(r, images, do.notes)
		return n.apply(ctx, r, do, images, result)
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// plan finds the images and holds them to what the change asks of each.
func (n *Node) plan(ctx context.Context, r ChangeRequest, what func([]store.Image) change) ([]store.Image, change, error) {
	images, err := n.store.Find(r.Patterns, r.All)
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
		if err := do.live(c, images); err != nil {
			return err
		}
	}
	if err := do.store(c, images); err != nil {
		return err
	}
	if now {
		err := n.refresh(ctx)
		if err == nil && do.merged {
			err = n.refusedNow(ctx, images)
		}
		if err != nil {
			return n.putBack(ctx, c, err)
		}
		result.Refreshed = true
	}
	result.Done = !c.Empty()
	if err := c.Keep(); err != nil {
		return err
	}
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
		case s.Merged:
		case s.Why != "":
			notes = append(notes, fmt.Sprintf("%s is enabled and was not merged: %s", im.Name, s.Why))
		default:
			notes = append(notes, fmt.Sprintf("%s is enabled and was not merged: %s says why", im.Name, n.command("explain %s", im.Name)))
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
			return hint.Wrap(fmt.Errorf("%s was left out: %s", im.Name, s.Why), n.command("explain %s", im.Name)+" says more")
		}
	}
	return nil
}

// putBack undoes a change that could not be merged.
func (n *Node) putBack(ctx context.Context, c *store.Change, why error) error {
	why = hint.Default(fmt.Errorf("nothing was changed, since merging failed: %w", why),
		n.command("status")+" says which extension is in the way")
	if err := c.Undo(); err != nil {
		return errors.Join(why, fmt.Errorf("putting back what was there: %w", err))
	}
	err := n.refresh(context.WithoutCancel(ctx))
	switch {
	case err == nil:
		return why
	case strings.Contains(why.Error(), err.Error()):
		// What stopped the merge was there before. Said once is enough, but not
		// that the running system may have lost what was merged.
		return errors.Join(why, errors.New("what was there cannot be merged again either"))
	}
	return errors.Join(why, fmt.Errorf("merging again what was there: %w", err))
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
