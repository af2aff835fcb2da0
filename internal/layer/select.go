package layer

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/device"
	"inlay/internal/extension"
	"inlay/internal/hint"
)

// kairosSet is the word for the hierarchies that the documents of Kairos set.
const kairosSet = "kairos"

// configuredSince is the systemd that began to read sysext.conf, mutableSince the
// one that had a mode of mutability at all.
const (
	configuredSince = 259
	mutableSince    = 256
)

// choose fills in what the request leaves open: the host, the hierarchies and the
// mode.
func (p *Plan) choose() error {
	r := &p.Request
	if r.Root == nil || r.Kind.Name == "" {
		return errors.New("planning a merge: the request has no root or no kind")
	}
	if r.Systemd == 0 {
		r.Systemd = extension.NewestSystemd
	}
	if r.Engine == "" {
		r.Engine = EngineNative
	}
	if r.Getenv == nil {
		r.Getenv = func(string) string { return "" }
	}
	if r.Mapping == nil {
		r.Mapping = device.HaveMapper
	}
	if r.Architecture == "" {
		r.Architecture = extension.HostArchitecture()
	}
	if r.Host == nil {
		files := content.Folder(r.Root)
		h, err := extension.HostAt(files, r.Architecture)
		if err := errors.Join(err, files.Close()); err != nil {
			return err
		}
		h.Systemd = r.Systemd
		r.Host = &h
	}
	p.explicit = len(r.Hierarchies) > 0 || r.Mutable != ""
	hierarchies, err := hierarchiesOf(r)
	if err != nil {
		return err
	}
	r.Hierarchies = hierarchies
	return p.chooseMode()
}

// hierarchiesOf returns the hierarchies to merge into, sorted: what the
// environment says, else the configuration, else systemd's own.
func hierarchiesOf(r *Request) ([]string, error) {
	all, err := fromEnvironment(r.Kind, r.Getenv)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		for _, h := range r.Hierarchies {
			switch {
			case h == kairosSet:
				all = append(all, kairosHierarchies(r.Kind)...)
			case !path.IsAbs(h) || path.Clean(h) != h || h == "/":
				return nil, hint.Wrap(fmt.Errorf("%q is no hierarchy", h), "name an absolute path without . or .. or a slash at the end, or the word kairos")
			default:
				all = append(all, h)
			}
		}
	}
	if len(all) == 0 {
		for _, h := range r.Kind.Mergeable {
			all = append(all, "/"+h)
		}
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > maxHierarchies {
		return nil, fmt.Errorf("%d hierarchies are too many: at most %d", len(all), maxHierarchies)
	}
	for _, h := range all {
		if i := slices.IndexFunc(all, func(other string) bool { return strings.HasPrefix(h, other+"/") }); i >= 0 {
			return nil, hint.Wrap(fmt.Errorf("the hierarchy %q lies in %q", h, all[i]), "name one of them")
		}
	}
	return all, nil
}

// kairosHierarchies are those that the documents of Kairos set for a kind:
// systemd's own where they set none.
func kairosHierarchies(k extension.Kind) []string {
	if !slices.Contains(k.Mergeable, "usr") {
		return []string{"/" + k.Mergeable[0]}
	}
	var all []string
	for _, below := range []string{"bin", "include", "lib", "sbin", "share", "src"} {
		all = append(all, "/usr/"+below, "/usr/local/"+below)
	}
	return all
}

// chooseMode decides on the mode: what was asked for, else what the environment
// says, else systemd's configuration, else none.
func (p *Plan) chooseMode() error {
	r := &p.Request
	if r.Mutable != "" {
		return nil
	}
	for _, origin := range []func() (text, name string, err error){
		func() (string, string, error) {
			name := variable(r.Kind, "MUTABLE_MODE")
			return r.Getenv(name), name, nil
		},
		func() (string, string, error) {
			if r.Engine == EngineSystemd && r.Systemd < configuredSince {
				return "", "", nil
			}
			return setting(r.Root, r.Kind, "Mutable")
		},
	} {
		text, name, err := origin()
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		if r.Mutable, err = ParseMode(text); err == nil {
			p.modeOrigin = name
			return nil
		}
		// As systemd does, but not in silence.
		p.warn(fmt.Errorf("%s counts as not set: %w", name, err))
	}
	r.Mutable = Immutable
	return nil
}

// RefusedError says that the policy refuses the way in which the merge is to be
// made, whatever the extensions are like.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// allowed refuses what the policy has no room for.
func (p *Plan) allowed() error {
	r := &p.Request
	if !r.Policy.NeedsSignature() || !r.Mutable.Stored() {
		return nil
	}
	what := fmt.Sprintf("the mode of mutability is %q", r.Mutable)
	if p.modeOrigin != "" {
		what += " by " + p.modeOrigin
	}
	return hint.Wrap(&RefusedError{what + ", with which files from /var/lib/extensions.mutable are merged that nobody has signed, and the policy wants signatures"},
		"choose the mode no or ephemeral")
}

// warn adds a warning.
func (p *Plan) warn(err error) {
	p.Warnings = append(p.Warnings, Warning{Text: err.Error(), Hints: hint.Of(err)})
}
