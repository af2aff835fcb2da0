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
	"slices"

	"inlay/internal/hint"
	"inlay/internal/rooted"
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
	Names []string `json:"integrations"`
	// Trusted is Options'.
	Trusted bool           `json:"trusted,omitempty"`
	Files   []manifestItem `json:"files"`
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
	s, err := f.lookAt(root)
	if err != nil {
		return gone, fmt.Errorf("looking at %q: %w", "/"+f.Path, err)
	}
	return s, nil
}

func (f manifestItem) lookAt(root *os.Root) (state, error) {
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
