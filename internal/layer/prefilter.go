package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

// run calls systemd with everything hidden from it that is not to be merged. What
// it failed of is hidden, too, and the call made again: one bad image keeps out no
// good one.
func (e *SystemdEngine) run(ctx context.Context, p *Plan, verb string, o RunOptions, r *Result) error {
	root, k := e.systemd.root, p.Request.Kind
	// What the look beneath a merge holds would keep its devices busy.
	p.Request.Root = root
	if err := e.native.Close(); err != nil {
		return err
	}
	c := e.covers(k)
	if err := link(root, p); err != nil {
		return err
	}
	for range maxRetries {
		err := e.o.Within(func() (err error) {
			if err := c.uncover(); err != nil { // what a killed command has left
				return err
			}
			places, err := hidden(root, p)
			if err != nil {
				return err
			}
			if err := c.cover(places); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.uncover()) }()
			return e.call(ctx, p, verb, o)
		})
		culprits, what := p.blamed(err)
		if err == nil || len(culprits) == 0 || ctx.Err() != nil {
			return err
		}
		for _, i := range culprits {
			i.settle(refusedAs(fmt.Errorf("%w: %w", what, err)))
			p.release(i)
			r.Warnings = append(r.Warnings, Warning{Text: fmt.Sprintf("the extension %q is left out: %v", i.Name, what), Hints: i.Hints})
		}
		if err := p.arrange(ctx); err != nil {
			return err
		}
	}
	return errors.New("systemd fails of one image after the other")
}

// hidden returns the places that systemd must not see.
func hidden(root *os.Root, p *Plan) ([]string, error) {
	var places []string
	for _, i := range p.Items {
		if i.Candidate == nil || i.State == Merge || i.State == Masked {
			continue
		}
		more, err := coverable(root, i)
		if err != nil {
			return nil, err
		}
		places = append(places, more...)
	}
	slices.Sort(places)
	return slices.Compact(places), nil
}

// blamed returns what systemd failed of, as far as can be told, and what is to be
// said of that.
func (p *Plan) blamed(err error) (culprits []*Item, what error) {
	if err == nil {
		return nil, nil
	}
	if i := p.named(err); i != nil {
		return []*Item{i}, errors.New("systemd fails of it")
	}
	return p.suspects(), hint.Wrap(errors.New("systemd fails, and may not be able to check its signature"), adviceSigner)
}

// named returns the item of which systemd's tool says that it failed, nil if it
// names none that is to be merged.
func (p *Plan) named(err error) *Item {
	_, rest, found := strings.Cut(err.Error(), "Failed to read metadata for image ")
	if !found {
		return nil
	}
	for _, i := range p.Merged() {
		if strings.HasPrefix(rest, i.Name+":") {
			return i
		}
	}
	return nil
}

// tidy takes away what earlier commands have left in the folders of extensions, so
// that a plan doesn't see it: links that are not wanted any more, and what a command
// that was killed has covered. While another command merges, it waits for that. Who
// only looks leaves it all, and looks past it.
func (e *SystemdEngine) tidy(ctx context.Context, r *Request) error {
	root := e.systemd.root
	_, err := root.Lstat(coverName(r.Kind))
	covered := err == nil
	switch {
	case covered && r.Look:
		return hint.Wrap(errors.New("extensions are covered: something merges them, or was killed while it did"),
			"try again; if nothing merges them: inlay "+r.Kind.Name+" refresh")
	case r.Look:
		_, r.Ignore, err = sift(root, r.Kind, r.Old)
		return err
	case covered:
		_, err := e.native.locked(ctx, r.Kind, func(*Report) (*Result, error) { return nil, e.o.Within(e.covers(r.Kind).uncover) })
		if err != nil {
			return err
		}
	}
	return unlink(root, r.Kind, r.Old)
}

func (e *SystemdEngine) covers(k extension.Kind) *covers {
	return &covers{root: e.systemd.root, base: e.base, list: coverName(k)}
}
