package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/stage"
)

// put places files, unless people have changed what is there.
func (o Options) put(want []placed, r *Result) error {
	before, err := readManifest(o.Root)
	if err != nil {
		return err
	}
	m := &manifest{Names: r.Names, Trusted: o.Trusted}
	if before.Trusted && !o.Trusted {
		r.Next = append(r.Next, "pass --trusted-boot if this system is for trusted boots: what was placed before asks for signatures whatever becomes of the boot step, and this doesn't")
	}
	var todo []placed
	for _, p := range want {
		r.Files = append(r.Files, p.path)
		item := p.item()
		m.Files = append(m.Files, item)
		s, err := item.look(o.Root)
		if err != nil {
			return err
		}
		if s == same {
			continue
		}
		if s == changed && !o.Force && !before.placed(o.Root, p.path) {
			return hint.Wrap(fmt.Errorf("placing %q: there is a file that inlay has not placed so", "/"+p.path), "look at it, and move it away or pass --force")
		}
		todo = append(todo, p)
	}
	kept, err := o.stale(before, want, r)
	if err != nil {
		return err
	}
	m.Files = append(m.Files, kept...)
	if o.DryRun || len(todo)+len(r.Removed) == 0 && slices.Equal(before.Files, m.Files) {
		return nil
	}
	r.Done = len(todo)+len(r.Removed) > 0
	return o.write(before, m, todo, r.Removed)
}

// stale notes what was placed before and is no part of it any more, and returns what
// of that stays, since people have changed it.
func (o Options) stale(before *manifest, want []placed, r *Result) (kept []manifestItem, err error) {
	for _, f := range before.Files {
		if slices.ContainsFunc(want, func(p placed) bool { return p.path == f.Path }) {
			continue
		}
		switch s, err := f.look(o.Root); {
		case err != nil:
			return nil, err
		case s == same, s == changed && o.Force:
			if !slices.Contains(r.Removed, f.Path) {
				r.Removed = append(r.Removed, f.Path)
			}
		case s == changed && !before.placed(o.Root, f.Path):
			r.Kept = append(r.Kept, f.Path)
			kept = append(kept, f)
		}
	}
	return kept, nil
}

// write makes the changes. The manifest names everything before anything is there,
// so that whatever a kill leaves can be removed.
func (o Options) write(before, m *manifest, todo []placed, stale []string) error {
	both := &manifest{Names: m.Names, Trusted: before.Trusted || m.Trusted, Files: slices.Concat(before.Files, m.Files)}
	if err := o.writeManifest(both); err != nil {
		return err
	}
	for _, p := range todo {
		if err := putFile(o.Root, p); err != nil {
			return hint.Default(fmt.Errorf("placing %q: %w", "/"+p.path, err), "the root must be writable: place the integration where the image is made, with --root")
		}
	}
	for _, name := range stale {
		if err := remove(o.Root, name); err != nil {
			return err
		}
	}
	return o.writeManifest(m)
}

// within is where a name lies once links on the way are followed inside of the root:
// those to it that are there, and below them what is not there yet.
func within(root *os.Root, name string) (string, error) {
	folder, rest := path.Split(name)
	for {
		at, err := rooted.Resolve(root, folder)
		if err == nil {
			return path.Join(at, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		above := path.Dir(path.Clean(folder))
		folder, rest = above, path.Join(path.Base(folder), rest)
	}
}

func putFile(root *os.Root, p placed) error {
	at, err := within(root, p.path)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(at), 0o755); err != nil {
		return err
	}
	if p.link != "" {
		if err := root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Symlink(p.link, at)
	}
	f, err := stage.Create(filepath.Join(root.Name(), filepath.FromSlash(at)), fs.FileMode(p.mode))
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.WriteAt(p.text, 0); err != nil {
		return err
	}
	return f.Commit()
}

// remove removes a file, and the folders that are empty without it and that nobody
// else has a use for.
func remove(root *os.Root, name string) error {
	at, err := within(root, name)
	if err != nil {
		return err
	}
	if err := root.Remove(at); err != nil {
		return fmt.Errorf("removing %q: %w", "/"+name, err)
	}
	folder := path.Dir(at)
	if base := path.Base(folder); base == "90inlay" || base == "inlay" || strings.HasSuffix(base, ".service.d") {
		_ = root.Remove(folder) // somebody else's file may be in it
	}
	return nil
}
