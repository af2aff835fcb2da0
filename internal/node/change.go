package node

import (
	"context"
	"fmt"
	"slices"

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
			check: n.usable,
			store: func(c *store.Change, images []store.Image) error {
				if err := n.tryAnew(images); err != nil {
					return err
				}
				return c.Enable(images, r.Profiles)
			},
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

// tryAnew gives images that boots were bad with all their tries again: whoever enables
// one wants it. A state that is damaged has none to give back.
func (n *Node) tryAnew(images []store.Image) error {
	state, err := n.store.Trials()
	if err != nil {
		return nil //nolint:nilerr // as the comment above says
	}
	tried := false
	for _, im := range images {
		tried = state.Forget(im.FileName) || tried
	}
	if !tried {
		return nil
	}
	return n.store.KeepTrials(state)
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
		return n.refused(im.FileName, v, n.command("explain", im.Name)+" says more")
	}
	return v.Err
}
