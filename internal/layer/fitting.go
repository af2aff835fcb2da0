package layer

import (
	"errors"
	"fmt"
	"io/fs"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/hint"
)

// identity is the file by which a folder is the root of a system, and no
// extension of one.
const identity = "usr/lib/os-release"

// look reads the release file and holds it against the host.
func (p *Plan) look(i *Item) error {
	var err error
	if i.Volume == nil {
		i.tree = content.Folder(i.Opened.Folder)
	} else if i.tree, err = i.Volume.tree(); err != nil {
		if unread, ok := errors.AsType[*content.Unread](err); ok && unread.FileSystem != "" {
			i.Unsettled = true
			return p.fitting(i)
		}
		return refusedAs(fmt.Errorf("reading its files: %w", err))
	}
	return p.fitting(i)
}

// fitting says whether the host takes an item, as far as its files can be read.
func (p *Plan) fitting(i *Item) error {
	r := &p.Request
	if i.tree == nil {
		return nil
	}
	defer func() { _ = i.rest() }()
	found, err := i.Verdict.Found, error(nil)
	if found == nil {
		found, err = extension.LookupRelease(i.tree, r.Kind, i.Name)
	}
	switch {
	case err == nil:
		i.Release = found
	case errors.Is(err, extension.ErrNoRelease), errors.Is(err, extension.ErrAmbiguousRelease):
		if !r.Force {
			return ignored(err)
		}
	default:
		return unreadable(fmt.Errorf("looking for its release file: %w", err))
	}
	if r.Force {
		return nil
	}
	if err := p.match(i); err != nil {
		return err
	}
	_, _, err = i.tree.Resolve(identity)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unreadable(fmt.Errorf("looking for %q in it: %w", identity, err))
	default:
		return ignored(hint.Wrap(fmt.Errorf("it has /%s, by which the host would take itself for another system", identity), "build it without that file, as inlay build does"))
	}
}

// match holds the release file against the host.
func (p *Plan) match(i *Item) error {
	r := &p.Request
	release := i.Release.Release
	if r.Extended {
		conditions, err := conditionsOf(release)
		if err != nil {
			return ignored(err)
		}
		if err := conditions.match(*r.Host); err != nil {
			return ignored(err)
		}
		plain := r.Host.Match(r.Kind, release)
		if plain == nil {
			return nil
		}
		if r.Engine == EngineSystemd {
			return ignored(hint.Wrap(fmt.Errorf("systemd, which doesn't know %s, would leave it out: %w", keyVersion, plain), "choose the native engine"))
		}
		release = conditions.relaxed(r.Kind, *r.Host, release)
	}
	if err := r.Host.Match(r.Kind, release); err != nil {
		return ignored(err)
	}
	return nil
}

// machine passes over an image whose partitions are for other machines.
func (p *Plan) machine(i *Item) error {
	a, host := i.Verdict.Architecture, p.Request.Host.Architecture
	if a == "" || a == host || p.Request.Force {
		return nil
	}
	return ignored(hint.Wrap(fmt.Errorf("its partitions are for %s machines, and the host is %s", a, host), "get the build for "+host))
}
