package boot

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"

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
// it. Of two images of one name the profile's own wins over the common one, which is
// said.
func (p *pass) wants(k extension.Kind) ([]wanted, error) {
	var all []wanted
	byName := map[string]int{}
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
		for _, w := range some {
			if other, twice := byName[w.name]; twice {
				p.overruled(w, all[other])
				continue
			}
			byName[w.name] = len(all)
			all = append(all, w)
		}
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
	byName := map[string]int{}
	var some []wanted
	for _, profile := range p.profiles() {
		for _, im := range images {
			if !slices.Contains(im.Profiles, store.Profile(profile)) {
				continue
			}
			w := wanted{
				kind: at.kind, name: im.Name, fileName: im.FileName, from: profile,
				path: path.Join(at.at, im.Path), image: &im,
				open: func() (*os.File, error) { return at.store.OpenImage(im) },
			}
			if other, twice := byName[im.Name]; twice {
				p.overruled(w, some[other])
				continue
			}
			byName[im.Name] = len(some)
			some = append(some, w)
		}
	}
	return some, nil
}

// overruled notes an image that another of its name wins over.
func (p *pass) overruled(w, by wanted) {
	if w.path == by.path {
		return // the same image, in both profiles
	}
	x := Extension{
		Kind: w.kind.Name, Name: w.name, FileName: w.fileName, Path: path.Join("/", w.path), From: w.from, Result: LeftOut,
		Reason: fmt.Sprintf("%s, for %s, has the same name and comes first", path.Join("/", by.path), by.from),
	}
	p.note(func(r *Report) { r.Extensions = append(r.Extensions, x) })
}
