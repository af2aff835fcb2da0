package boot

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/bootstate"
	"inlay/internal/extension"
	"inlay/internal/store"
)

// place is somewhere that extensions of this boot lie: the node's store, the one of
// a partition that was mounted for it, or a live medium.
type place struct {
	kind extension.Kind
	// from is the word of the report for what lies on a medium; "" for a store, whose
	// images have profiles.
	from string
	// store is nil for a medium.
	store *store.Store
	// folder of a medium, and where that is as the running system sees it.
	folder *os.Root
	at     string
	// copied says that it is a copy in memory, which no boot is counted in.
	copied bool
}

// wanted is an image that this boot wants.
type wanted struct {
	kind     extension.Kind
	name     string
	fileName string
	from     string
	// path is where it lies as the running system sees it, without a leading slash.
	path  string
	open  func() (*os.File, error)
	image *store.Image // of a store
}

// findPlaces finds out where extensions lie. A live medium carries its own; every
// other boot has the node's store.
func (p *pass) findPlaces(ctx context.Context) (string, error) {
	switch p.State.State {
	case bootstate.LiveCD, bootstate.Installer:
		return p.findMedium(ctx)
	case bootstate.Recovery, bootstate.AutoReset:
		return p.findPersistent(ctx)
	default:
		return "", p.addStores()
	}
}

// addStores adds the stores of the system itself.
func (p *pass) addStores() error {
	for _, k := range p.Kinds {
		s, err := store.Open(p.Target, k, store.Options{})
		if err != nil {
			return err
		}
		if !p.DryRun {
			s.Settle() // a change that the power ended is none
		}
		p.places = append(p.places, place{kind: k, store: s})
	}
	return nil
}

// wants returns what this boot wants of a kind, in the order in which systemd stacks
// it. Of two of one name the first that is good is meant: the profile's own comes
// before the common one.
func (p *pass) wants(k extension.Kind) ([]wanted, error) {
	var all []wanted
	for _, at := range p.places {
		if at.kind.Name != k.Name {
			continue
		}
		var some []wanted
		var err error
		if at.store != nil {
			some, err = p.enabled(at)
		} else {
			some, err = p.carried(at)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// enabled returns the images of a store that the booted profile uses.
func (p *pass) enabled(at place) ([]wanted, error) {
	images, err := at.store.Images()
	if err != nil {
		return nil, err
	}
	for _, problem := range at.store.Problems() {
		p.problem("%s: %s", problem.Path, problem.Text)
	}
	var some []wanted
	for i, profile := range p.profiles() {
		for _, im := range images {
			earlier := slices.ContainsFunc(im.Profiles, func(of store.Profile) bool { return slices.Contains(p.profiles()[:i], string(of)) })
			if earlier || !slices.Contains(im.Profiles, store.Profile(profile)) {
				continue
			}
			some = append(some, wanted{
				kind: at.kind, name: im.Name, fileName: im.FileName, from: profile,
				path: path.Join(at.at, im.Path), image: &im,
				open: func() (*os.File, error) { return at.store.OpenImage(im) },
			})
		}
	}
	return some, nil
}

// overruled notes an image that another of its name, which is good, wins over.
func (p *pass) overruled(w, by wanted) {
	x := Extension{
		Kind: w.kind.Name, Name: w.name, FileName: w.fileName, Path: path.Join("/", w.path), From: w.from, Result: LeftOut,
		Reason: fmt.Sprintf("%s, for %s, has the same name and comes first", path.Join("/", by.path), by.from),
	}
	p.note(func(r *Report) { r.Extensions = append(r.Extensions, x) })
}

// final returns where the running system sees what is mounted at a place of this
// one, and whether it does: with the initial RAM disk all goes but /run and what the
// target has mounted.
func (p *pass) final(at string) (string, bool) {
	if p.InPlace || extension.Within(at, []string{"run"}) {
		return at, true
	}
	target := targetAt(p.System, p.Target)
	rest, below := strings.CutPrefix(at, target+"/")
	return rest, target != "" && below
}

// targetAt is where the running system sees the target, without a leading slash:
// "sysroot"; "" if it is the same, or not below it.
func targetAt(system, target *os.Root) string {
	rel, err := filepath.Rel(system.Name(), target.Name())
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}
