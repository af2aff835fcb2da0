package integration

import (
	"errors"
	"io/fs"
	"slices"
)

// Uninstall removes what Install has placed, whichever integrations. What people have
// changed stays, and stays noted, unless Force says otherwise.
func Uninstall(o Options) (*Result, error) {
	m, err := readManifest(o.Root)
	if err != nil {
		return nil, err
	}
	r := &Result{Names: append([]string{}, m.Names...), Files: []string{}, DryRun: o.DryRun}
	left := &manifest{Names: m.Names, Trusted: m.Trusted}
	for _, f := range slices.Backward(m.Files) {
		state, err := f.look(o.Root)
		switch {
		case err != nil:
			return r, err
		case state == gone || slices.Contains(r.Files, f.Path):
			continue
		case state == changed && m.placed(o.Root, f.Path):
			continue // a kill left two notes of it, and this is the wrong one
		case state == changed && !o.Force:
			r.Kept = append(r.Kept, f.Path)
			left.Files = append(left.Files, f)
			continue
		}
		r.Files = append(r.Files, f.Path)
		if o.DryRun {
			continue
		}
		r.Done = true
		if err := remove(o.Root, f.Path); err != nil {
			return r, err
		}
	}
	if len(r.Files) > 0 {
		for _, name := range m.Names {
			r.Next = append(r.Next, o.after(name)...)
		}
	}
	switch {
	case o.DryRun || len(m.Names) == 0:
		return r, nil
	case len(left.Files) > 0:
		return r, o.writeManifest(left)
	}
	if err := remove(o.Root, manifestFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	return r, nil
}
