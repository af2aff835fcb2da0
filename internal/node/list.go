package node

import (
	"context"
	"maps"
	"path"
	"slices"

	"inlay/internal/store"
	"inlay/internal/trust"
	"inlay/internal/verify"
)

// Entry is one extension of the node.
type Entry struct {
	Name         string `json:"name"`
	FileName     string `json:"fileName"`
	Kind         string `json:"kind"`
	Version      string `json:"version,omitempty"`
	Path         string `json:"path"`
	Size         int64  `json:"size"`
	Digest       string `json:"digest,omitempty"`
	Source       string `json:"source,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Protection   string `json:"protection,omitempty"`
	Signer       string `json:"signer,omitempty"`
	// Anchor is the trusted certificate that vouches for the signer. Without
	// one, Signer is a claim that nobody here can check.
	Anchor   string          `json:"anchor,omitempty"`
	Profiles []store.Profile `json:"profiles"`
	// Linked says that it lies in the run folder, Merged that it is merged now.
	Linked bool `json:"linked"`
	Merged bool `json:"merged"`
	// Guarantee says what keeps a merged one what it was when it was verified.
	Guarantee string `json:"guarantee,omitempty"`
	Verdict   string `json:"verdict,omitempty"`
	// Why says what keeps it from being merged, or what its verdict is about.
	Why string `json:"why,omitempty"`
	// Command mends that, if one does; a list doesn't look so far.
	Command string `json:"command,omitempty"`
}

// Status is everything about the node's extensions of one kind.
type Status struct {
	Kind    string `json:"kind"`
	State   string `json:"state"`
	Profile string `json:"profile"`
	// Policy is what images are held to, and Because why.
	Policy     string  `json:"policy"`
	Because    string  `json:"because"`
	Extensions []Entry `json:"extensions"`
	// Others are merged and not in the store.
	Others   []string        `json:"others,omitempty"`
	Problems []store.Problem `json:"problems,omitempty"`
	// Unused is what was laid down to be trusted and could not be used.
	Unused []trust.Problem `json:"unused,omitempty"`
}

// List returns the extensions of a profile, or all of them for "". No image is
// read: what is known of them was found out when they were let in.
func (n *Node) List(ctx context.Context, p store.Profile) ([]Entry, error) {
	images, err := n.store.Images()
	if err != nil {
		return nil, err
	}
	seen, err := n.Merger.Seen(ctx, n.Kind)
	if err != nil {
		return nil, err
	}
	entries := []Entry{}
	for _, im := range images {
		if p == "" || slices.Contains(im.Profiles, p) {
			entries = append(entries, n.entry(im, seen[im.Name]))
		}
	}
	return entries, nil
}

// entry is what the store tells of an image, and whoever merges.
func (n *Node) entry(im store.Image, seen Seen) Entry {
	e := Entry{
		Name: im.Name, FileName: im.FileName, Kind: n.Kind.Name, Version: im.Version, Path: path.Join("/", im.Path),
		Size: im.Size, Profiles: im.Profiles, Linked: im.Linked, Merged: seen.Merged && n.stranger(seen) == "",
	}
	if e.Merged {
		e.Guarantee = seen.Guarantee
	}
	if e.Profiles == nil {
		e.Profiles = []store.Profile{}
	}
	if im.Missing {
		e.Verdict, e.Why = string(verify.Missing), "the image is gone: only links to it are left"
	}
	if r := im.Record; r != nil {
		e.Digest, e.Source = r.Digest, r.Source
		if s := r.Verdict; s != nil {
			e.apply(s)
		}
	}
	return e
}

// stranger is where another extension lies that is merged under the name of one of
// the store's; "" if none is. Those of the store are linked in the run folder, in
// which others may put folders.
func (n *Node) stranger(seen Seen) string {
	if !seen.Merged || seen.Path == "" || path.Dir(seen.Path) == "/"+n.Kind.RunFolder && path.Ext(seen.Path) == ".raw" {
		return ""
	}
	return seen.Path
}

func (e *Entry) apply(s *store.Summary) {
	e.Architecture, e.Protection, e.Signer, e.Anchor = s.Architecture, s.Protection, s.Signer, s.Anchor
	e.Verdict, e.Why = s.Result, s.Reason
	if e.Version == "" {
		e.Version = s.Version
	}
}

// Status judges every extension anew, by its top, and says what stops it.
func (n *Node) Status(ctx context.Context) (*Status, error) {
	images, err := n.store.Images()
	if err != nil {
		return nil, err
	}
	seen, err := n.Merger.Seen(ctx, n.Kind)
	if err != nil {
		return nil, err
	}
	s := &Status{
		Kind: n.Kind.Name, Policy: n.rule.Policy.String(), Because: n.rule.Because,
		Extensions: []Entry{}, Problems: n.store.Problems(),
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name].Merged {
			s.Others = append(s.Others, name)
		}
	}
	if n.Anchors != nil {
		s.Unused = n.Anchors.Problems
	}
	if n.State != nil {
		s.State, s.Profile = string(n.State.State), n.State.Profile
	}
	for _, im := range images {
		e := n.entry(im, seen[im.Name])
		if n.stranger(seen[im.Name]) == "" {
			s.Others = slices.DeleteFunc(s.Others, func(name string) bool { return name == im.Name })
		}
		if _, err := n.verdict(ctx, im, &e); err != nil {
			return nil, err
		}
		if stop := firstStop(n.steps(im, e, seen[im.Name])); stop != nil {
			e.stopped(stop)
		} else if e.Why == "" {
			e.Why = seen[im.Name].Why
		}
		s.Extensions = append(s.Extensions, e)
	}
	return s, nil
}

// verdict judges an image that is there, and writes into e what that shows.
func (n *Node) verdict(ctx context.Context, im store.Image, e *Entry) (*verify.Verdict, error) {
	if im.Missing {
		return nil, nil //nolint:nilnil // there is nothing to judge
	}
	v, err := n.look(ctx, im)
	if err != nil {
		return nil, err
	}
	e.apply(summarize(v))
	return v, nil
}
