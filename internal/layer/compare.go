package layer

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
	"inlay/internal/trust"
)

// ErrDiffers says that systemd has merged something else than was judged.
var ErrDiffers = errors.New("what was merged is not what was judged")

// compare holds what is merged against the plan. What nobody has judged, or
// isn't protected as the policy wants it, is unmerged at once. It returns what is
// protected less than it could be.
func (e *SystemdEngine) compare(ctx context.Context, p *Plan, r *Result, o RunOptions) (weak map[*Item]bool, err error) {
	k := p.Request.Kind
	if err := e.reached(p, r); err != nil {
		return nil, err
	}
	var names []string
	for _, h := range r.Merged {
		names = append(names, h.Extensions...)
	}
	var wrong error
	for _, name := range names {
		if !slices.ContainsFunc(p.Merged(), func(i *Item) bool { return i.Name == name }) {
			wrong = fmt.Errorf("%w: the extension %q was merged, and was not to be", ErrDiffers, name)
		}
	}
	if wrong == nil {
		weak, wrong = e.unprotected(p, r)
	}
	if wrong != nil {
		wrong = hint.Default(wrong, "look for who changes extensions meanwhile, then refresh")
		if err := e.unmerge(ctx, k, o, r.Merged); err != nil {
			return nil, errors.Join(wrong, fmt.Errorf("unmerging it: %w", err))
		}
		for _, h := range r.Merged {
			r.Unmerged = append(r.Unmerged, h.Path)
		}
		r.Merged = nil
		return nil, wrong
	}
	for _, i := range p.Merged() {
		if !slices.Contains(names, i.Name) && len(names) > 0 {
			r.Warnings = append(r.Warnings, Warning{Text: fmt.Sprintf("systemd has left out the extension %q, and doesn't say why", i.Name), Hints: []string{"choose the native engine"}})
		}
	}
	return weak, nil
}

// reached sees that a merge that succeeded shows: systemd merges in a mount
// namespace of its own, and only shared propagation brings the result out of it.
func (e *SystemdEngine) reached(p *Plan, r *Result) error {
	n := slices.IndexFunc(p.Stacks, func(s Stack) bool { return !s.Idle })
	if len(r.Merged) > 0 || n < 0 {
		return nil
	}
	s := p.Stacks[n]
	var propagation mount.Propagation
	err := e.o.Within(func() (err error) {
		propagation, err = mount.PropagationOf(path.Join(e.base, "/", path.Dir(s.Place)))
		return err
	})
	if err == nil && propagation.Shared == 0 {
		return hint.Wrap(fmt.Errorf("systemd merged, but %q shows nothing of it: mounts there are %s, and it relies on shared ones", s.Path, propagation),
			"make them shared, as systemd does at boot: mount --make-rshared /; or choose the native engine")
	}
	return fmt.Errorf("systemd reports success, but nothing is merged into %q", s.Path)
}

// unprotected returns what systemd has merged without its hash tree, with a
// warning where the policy allows that, and an error where it doesn't.
func (e *SystemdEngine) unprotected(p *Plan, r *Result) (map[*Item]bool, error) {
	protected := slices.DeleteFunc(p.Merged(), func(i *Item) bool { return i.Volume == nil || !i.Volume.Protected })
	if len(protected) == 0 {
		return nil, nil
	}
	active, unread, err := e.activeRoots(p.Request.Kind, r)
	if err != nil {
		return nil, fmt.Errorf("%w, as far as can be told: %w", ErrDiffers, err)
	}
	weak := map[*Item]bool{}
	for _, i := range protected {
		if active[hex.EncodeToString(i.Volume.RootHash[:])] {
			continue
		}
		bare := trust.Found{Designator: i.Volume.Designator, FileSystem: i.Volume.FileSystem, ReadOnly: true}
		if p.Request.Policy.Check(bare) != nil {
			differs := fmt.Errorf("%w: the extension %q was merged, but not through dm-verity with the root hash %x", ErrDiffers, i.Name, i.Volume.RootHash)
			return nil, errors.Join(differs, unread)
		}
		weak[i] = true
		r.Warnings = append(r.Warnings, Warning{Text: fmt.Sprintf("systemd has merged the extension %q without its hash tree: later changes to the image are not noticed", i.Name)})
	}
	return weak, nil
}

// originHashes is what is read of the file origin.
type originHashes struct {
	Extensions map[string]struct {
		VerityHash string `json:"verityHash"`
	} `json:"extensions"`
}

// activeRoots returns the root hashes that what is merged was mounted by: those
// that systemd writes down since 260, and those that dm-verity devices have, with
// which alone the first are believed. A device that cannot be read vouches for
// nothing, and is none of ours perhaps: unread says why, of the first.
func (e *SystemdEngine) activeRoots(k extension.Kind, r *Result) (active map[string]bool, unread, err error) {
	active = map[string]bool{}
	if e.o.Mapper() != nil {
		return active, nil, nil //nolint:nilerr // then there are none
	}
	devices, unread, err := strictDevices()
	if err != nil {
		return nil, nil, err
	}
	for _, d := range devices {
		active[hex.EncodeToString(d.RootHash[:])] = true
	}
	err = e.inside(func(s *Systemd) error {
		for _, h := range r.Merged {
			if err := onlyListed(s.root, h, k, active); err != nil {
				return err
			}
		}
		return nil
	})
	return active, unread, err
}

// onlyListed takes from active the root hashes that a merged hierarchy says nothing
// of.
func onlyListed(root *os.Root, h Hierarchy, k extension.Kind, active map[string]bool) error {
	text, err := readMark(root, h.Path[1:], k, markOrigin)
	if err != nil || text == nil { // none: systemd 259 or before
		return err
	}
	var o originHashes
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("reading what was merged into %q: %w", h.Path, err)
	}
	listed := map[string]bool{}
	for _, x := range o.Extensions {
		listed[x.VerityHash] = true
	}
	maps.DeleteFunc(active, func(root string, _ bool) bool { return !listed[root] })
	return nil
}
