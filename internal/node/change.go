package node

import (
	"context"
	"errors"
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
	store func(*store.Change, []store.Image) error
	// live changes the links of the run folder, and returns what to tell.
	live func(*store.Change, []store.Image) (notes []string, err error)
}

// Enable makes profiles use images. With Now they are linked and merged at once,
// if what was booted uses one of the profiles.
func (n *Node) Enable(ctx context.Context, r ChangeRequest) (*Changed, error) {
	return n.run(ctx, r, change{
		check: n.usable,
		store: func(c *store.Change, images []store.Image) error { return c.Enable(images, r.Profiles) },
		live: func(c *store.Change, images []store.Image) ([]string, error) {
			if !slices.ContainsFunc(r.Profiles, n.booted) {
				return []string{n.notBooted()}, nil
			}
			return nil, c.LinkRun(images)
		},
	})
}

// Disable makes profiles use images no more. With Now they are taken out of the
// running system, unless another profile of what was booted still uses them.
func (n *Node) Disable(ctx context.Context, r ChangeRequest) (*Changed, error) {
	return n.run(ctx, r, change{
		store: func(c *store.Change, images []store.Image) error { return c.Disable(images, r.Profiles) },
		live: func(c *store.Change, images []store.Image) ([]string, error) {
			var notes []string
			var gone []store.Image
			for _, im := range images {
				left := slices.DeleteFunc(slices.Clone(im.Profiles), func(p store.Profile) bool { return slices.Contains(r.Profiles, p) })
				if i := slices.IndexFunc(left, n.booted); i >= 0 {
					notes = append(notes, fmt.Sprintf("%s stays merged: it is enabled for %s too", im.Name, left[i]))
					continue
				}
				gone = append(gone, im)
			}
			return notes, c.UnlinkRun(gone)
		},
	})
}

// Remove takes images out of the store and out of every profile.
func (n *Node) Remove(ctx context.Context, r ChangeRequest) (*Changed, error) {
	return n.run(ctx, r, change{
		store: func(c *store.Change, images []store.Image) error { return c.Remove(images) },
		live:  func(c *store.Change, images []store.Image) ([]string, error) { return nil, c.UnlinkRun(images) },
	})
}

// notBooted says why nothing happens now.
func (n *Node) notBooted() string {
	if n.State == nil || n.State.Profile == "" {
		return "nothing is merged now: what was booted has no profile (inlay boot state tells more)"
	}
	return fmt.Sprintf("nothing is merged now: the %s profile is booted", n.State.Profile)
}

// usable says why an image may not be used: an image that boot would refuse is
// not enabled in the first place.
func (n *Node) usable(ctx context.Context, im store.Image) error {
	if im.Missing {
		return hint.Wrap(fmt.Errorf("the image of %q is gone: only links to it are left", im.Name), "download it again, or remove it")
	}
	v, err := n.look(ctx, im)
	if err != nil {
		return err
	}
	if v.Result == verify.Refused || v.Result == verify.Unreadable {
		return &RefusedError{im.FileName, v, v.Err}
	}
	return nil
}

func (n *Node) run(ctx context.Context, r ChangeRequest, do change) (*Changed, error) {
	var result *Changed
	err := n.locked(ctx, func() error {
		images, err := n.store.Find(r.Patterns, r.All)
		if err != nil {
			return err
		}
		result = &Changed{Profiles: r.Profiles, DryRun: r.DryRun}
		for _, im := range images {
			result.Images = append(result.Images, im.FileName)
			if do.check == nil {
				continue
			}
			if err := do.check(ctx, im); err != nil {
				return err
			}
		}
		if r.DryRun {
			return nil
		}
		return n.apply(ctx, r, do, images, result)
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// apply makes the change, in the running system too if asked; if that fails, all
// of it is undone, live and on disk.
func (n *Node) apply(ctx context.Context, r ChangeRequest, do change, images []store.Image, result *Changed) error {
	c, err := n.store.Begin()
	if err != nil {
		return err
	}
	if err := do.store(c, images); err != nil {
		return err
	}
	if r.Now {
		notes, err := do.live(c, images)
		if err != nil {
			return err
		}
		result.Notes = append(result.Notes, notes...)
		if err := n.refresh(ctx); err != nil {
			return n.putBack(ctx, c, err)
		}
		result.Refreshed = true
	}
	result.Done = !c.Empty()
	return c.Keep()
}

// putBack undoes a change that could not be merged.
func (n *Node) putBack(ctx context.Context, c *store.Change, why error) error {
	why = hint.Default(fmt.Errorf("merging, so nothing was changed: %w", why), "inlay sysext explain NAME says what stops an extension")
	if err := c.Undo(); err != nil {
		return errors.Join(why, fmt.Errorf("putting back what was there: %w", err))
	}
	if err := n.refresh(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(why, fmt.Errorf("merging again what was there: %w", err))
	}
	return why
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
