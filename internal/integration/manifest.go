package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"inlay/internal/hint"
	"inlay/internal/rooted"
	"inlay/internal/stage"
)

// manifestFile says what was placed, below the root.
const manifestFile = "usr/lib/inlay/boot-install.json"

const (
	maxManifest = 64 << 10
	maxPlaced   = 256
	maxFile     = 64 << 10 // of a file that was placed, in bytes
)

// manifest is what Install has placed.
type manifest struct {
	Names []string       `json:"integrations"`
	Files []manifestItem `json:"files"`
}

// manifestItem is a file by its digest, or a link by what it leads to.
type manifestItem struct {
	Path   string `json:"path"`
	Digest string `json:"sha256,omitempty"`
	Link   string `json:"link,omitempty"`
}

func (p placed) item() manifestItem {
	if p.link != "" {
		return manifestItem{Path: p.path, Link: p.link}
	}
	sum := sha256.Sum256(p.text)
	return manifestItem{Path: p.path, Digest: hex.EncodeToString(sum[:])}
}

func readManifest(root *os.Root) (*manifest, error) {
	m := &manifest{}
	text, err := rooted.ReadFile(root, manifestFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(m)
	}
	if err == nil && len(m.Files) > maxPlaced {
		err = fmt.Errorf("%d files, more than %d", len(m.Files), maxPlaced)
	}
	for _, f := range m.Files {
		if err == nil && (!fs.ValidPath(f.Path) || f.Path == "." || f.Digest == "" && f.Link == "") {
			err = fmt.Errorf("%q is no file that was placed", f.Path)
		}
	}
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("reading %q: %w", "/"+manifestFile, err), "it says what was placed: mend it, or remove it and what begins with inlay by hand")
	}
	return m, nil
}

// state is what became of a file that was placed.
type state int

const (
	gone state = iota
	same
	changed
)

func (f manifestItem) look(root *os.Root) (state, error) {
	at, err := within(root, f.Path)
	if err != nil {
		return gone, err
	}
	info, err := root.Lstat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone, nil
	case err != nil:
		return gone, err
	case info.Mode().Type() == fs.ModeSymlink:
		target, err := root.Readlink(at)
		if target == f.Link {
			return same, err
		}
		return changed, err
	case !info.Mode().IsRegular() || info.Size() > maxFile || f.Link != "":
		return changed, nil
	}
	text, err := rooted.ReadFile(root, at, maxFile)
	if err != nil {
		return gone, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) == f.Digest {
		return same, nil
	}
	return changed, nil
}

// put places files, unless people have changed what is there.
func (o Options) put(want []placed, r *Result) error {
	before, err := readManifest(o.Root)
	if err != nil {
		return err
	}
	var todo []placed
	m := &manifest{Names: r.Names}
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
	// What an earlier version has placed, and this one doesn't.
	var stale []string
	for _, f := range before.Files {
		if slices.ContainsFunc(want, func(p placed) bool { return p.path == f.Path }) {
			continue
		}
		switch s, err := f.look(o.Root); {
		case err != nil:
			return err
		case s == same:
			stale = append(stale, f.Path)
		case s == changed:
			r.Kept = append(r.Kept, f.Path)
		}
	}
	if o.DryRun || len(todo)+len(stale) == 0 {
		return nil
	}
	r.Done = true
	return o.write(before, m, todo, stale)
}

// placed says whether the manifest has a file that is still as it was placed.
func (m *manifest) placed(root *os.Root, name string) bool {
	return slices.ContainsFunc(m.Files, func(f manifestItem) bool {
		if f.Path != name {
			return false
		}
		s, err := f.look(root)
		return err == nil && s == same
	})
}

// write makes the changes. The manifest names everything before anything is there,
// so that whatever a kill leaves can be removed.
func (o Options) write(before, m *manifest, todo []placed, stale []string) error {
	both := &manifest{Names: m.Names, Files: slices.Concat(before.Files, m.Files)}
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

func (o Options) writeManifest(m *manifest) error {
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	if err := putFile(o.Root, placed{path: manifestFile, text: append(text, '\n'), mode: 0o644}); err != nil {
		return hint.Default(fmt.Errorf("writing %q: %w", "/"+manifestFile, err), "the root must be writable: place the integration where the image is made, with --root")
	}
	return nil
}

// within is where a name lies once links on the way are followed inside of the root.
func within(root *os.Root, name string) (string, error) {
	folder, err := rooted.Resolve(root, path.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return name, nil
	}
	return path.Join(folder, path.Base(name)), err
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
	switch folder := path.Dir(at); path.Base(folder) {
	case "90inlay", "inlay", "systemd-sysext.service.d", "systemd-confext.service.d":
		_ = root.Remove(folder) // somebody else's file may be in it
	}
	return nil
}
