package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/store"
	"inlay/internal/trial"
)

// maxReport bounds a report, in bytes: far more than 500 extensions have to say.
const maxReport = 16 << 20

// ReadReport returns what the boot step of this boot did, nil if there was none.
func ReadReport(system *os.Root) (*Report, error) {
	text, err := rooted.ReadFile(system, ReportFile, maxReport)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r := &Report{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("reading %q: %w", "/"+ReportFile, err), "remove it: it only tells of this boot")
	}
	return r, nil
}

// Marked is what marking a boot good changed.
type Marked struct {
	Profile string `json:"profile"`
	// Good are the file names of what this boot used, by kind.
	Good map[string][]string `json:"good"`
}

// Good marks this boot good: what it linked is on trial no longer, and is what later
// boots fall back to.
func Good(ctx context.Context, target, system *os.Root, now time.Time) (*Marked, error) {
	r, err := ReadReport(system)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Boot == nil || r.DryRun {
		return nil, hint.Wrap(errors.New("the boot step has not run in this boot"), "inlay boot install has it run at boot")
	}
	marked := &Marked{Profile: profileOf(r.Boot.Profile), Good: map[string][]string{}}
	var errs []error
	for _, k := range extension.Kinds() {
		if !slices.ContainsFunc(r.Merges, func(m Merge) bool { return m.Kind == k.Name }) {
			continue // it was switched off, or not come to: this boot says nothing of it
		}
		good, err := markGood(ctx, target, k, r, now)
		if err != nil {
			errs = append(errs, err)
		}
		marked.Good[k.Name] = good
	}
	return marked, errors.Join(errs...)
}

func markGood(ctx context.Context, target *os.Root, k extension.Kind, r *Report, now time.Time) (good []string, err error) {
	s, err := store.Open(target, k, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	images, err := s.Images()
	if err != nil || len(images) == 0 {
		return nil, err
	}
	unlock, err := s.Lock(ctx, time.Minute, "inlay boot good")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	state, err := s.Trials()
	if err != nil {
		// Damaged: from here on it says what is known, which is this boot.
		state = &trial.State{}
	}
	var used []trial.Image
	for _, x := range r.Extensions {
		if x.Kind != k.Name || x.Result != Linked || x.ID == "" {
			continue
		}
		used = append(used, trial.Image{FileName: x.FileName, ID: x.ID})
		good = append(good, x.FileName)
	}
	enabled := func(fileName string) bool {
		return slices.ContainsFunc(images, func(i store.Image) bool { return i.FileName == fileName && len(i.Profiles) > 0 })
	}
	state.Good(profileOf(r.Boot.Profile), used, enabled, now)
	if err := s.KeepTrials(state); err != nil {
		return nil, err
	}
	// What a profile may still fall back to stays.
	return good, s.DropFallbacks(func(profile, fileName string) bool {
		i := slices.IndexFunc(images, func(i store.Image) bool { return i.FileName == fileName })
		if i < 0 {
			return true
		}
		old, err := s.Fallback(profile, images[i])
		return err == nil && old != nil && !state.Trusted(profile, old.Trial())
	})
}
