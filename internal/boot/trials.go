package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"inlay/internal/extension"
	"inlay/internal/rooted"
	"inlay/internal/store"
	"inlay/internal/trial"
)

// lockWait is how long a boot waits for a command that changes the store. At this
// time there is hardly one.
const lockWait = 2 * time.Second

// tryOut counts this boot for each image of a store that is to be linked and never
// booted well, and leaves out those that have had all their boots: the image that
// one replaced, if that was good, takes its place. It does so before anything is
// linked: a boot that hangs has been counted. Where it cannot be counted, nothing is
// on trial.
func (p *pass) tryOut(ctx context.Context, k extension.Kind, all []candidate) []candidate {
	if p.Tries <= 0 {
		return all
	}
	s := p.storeOf(k)
	if s == nil {
		return all
	}
	state, err := s.Trials()
	if err != nil {
		p.problem("no extension is on trial: %v", err)
		return all
	}
	counted := make([]candidate, 0, len(all))
	for _, c := range all {
		if c.Result != Linked || c.image == nil {
			counted = append(counted, c)
			continue
		}
		t, spent := state.Begin(p.trialProfile(), c.image.Trial(), p.Tries, p.bootID(), p.Now())
		switch {
		case spent:
			c = p.fallBack(ctx, s, state, c, *t)
		case t != nil:
			c.Trial = &Trial{Left: t.Left()}
		}
		counted = append(counted, c)
	}
	if p.DryRun {
		return counted
	}
	if err := keepTrials(ctx, s, state); err != nil {
		p.problem("no extension is on trial, since this boot cannot be counted: %v", err)
		for i, c := range counted {
			// Those that have had all their boots stay out: that was written down before.
			if c.Result == Linked && (c.Trial == nil || !c.Trial.Instead) {
				counted[i] = all[i]
			}
		}
	}
	return counted
}

// fallBack is what comes in place of an image that has had all its boots.
func (p *pass) fallBack(ctx context.Context, s *store.Store, state *trial.State, c candidate, t trial.Try) candidate {
	why := fmt.Sprintf("%d boots with it were not marked good, the last at %s", t.Boots, t.Last.UTC().Format(time.RFC3339))
	again := fmt.Sprintf("if the fault was not its: inlay %s enable, with its profile, tries it anew", c.kind.Name)
	good, err := s.Fallback(p.trialProfile(), *c.image)
	if err != nil {
		p.problem("looking for what %s has replaced: %v", c.fileName, err)
	}
	if err == nil && good != nil && state.Trusted(p.trialProfile(), good.Trial()) {
		w := c.wanted
		w.path, w.image = path.Join(path.Dir(w.path), strings.TrimPrefix(good.Path, path.Dir(c.image.Path)+"/")), good
		w.open = func() (*os.File, error) { return s.OpenFallback(*good) }
		if old := p.judge(ctx, w); old.Result == Linked {
			old.Trial = &Trial{Instead: true}
			old.Reason, old.Hints = "the image that it was replaced by is left out: "+why, []string{again}
			return old
		}
	}
	c.Result, c.Reason, c.Hints, c.Trial = LeftOut, why, []string{again}, &Trial{}
	return c
}

func keepTrials(ctx context.Context, s *store.Store, state *trial.State) error {
	unlock, err := s.Lock(ctx, lockWait, "inlay boot")
	if err != nil {
		return err
	}
	return errors.Join(s.KeepTrials(state), unlock())
}

// trialProfile is the name by which boots of this state are counted.
func (p *pass) trialProfile() string { return profileOf(p.State.Profile) }

func profileOf(profile string) string {
	if profile == "" {
		return "none"
	}
	return profile
}

// bootID is what the kernel calls this boot, "" if it doesn't say.
func (p *pass) bootID() string {
	id, err := rooted.ReadFile(p.System, "proc/sys/kernel/random/boot_id", 64)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// storeOf is the store of a kind that this boot is counted in, nil if there is none.
func (p *pass) storeOf(k extension.Kind) *store.Store {
	for _, at := range p.places {
		if at.store != nil && !at.copied && at.kind.Name == k.Name {
			return at.store
		}
	}
	return nil
}
