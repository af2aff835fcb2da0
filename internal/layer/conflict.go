package layer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"inlay/internal/content"
)

// ConflictKind says what meets in one path.
type ConflictKind string

// The kinds of conflict.
const (
	OverHost      ConflictKind = "extension over host"
	OverExtension ConflictKind = "extension over extension"
	FileOverDir   ConflictKind = "file over folder" // all that is in the folder vanishes
	DirOverLink   ConflictKind = "folder over link" // what the link leads to isn't seen there any more
	DirOverFile   ConflictKind = "folder over file"
)

// Host stands for the host among the names of extensions: no extension is called
// so, as a name has no slash.
const Host = "/"

// Conflict is a path that more than one brings.
type Conflict struct {
	Path string       `json:"path"`
	Kind ConflictKind `json:"kind"`
	// Winner and Losers are names of extensions, or Host; the losers topmost first.
	Winner string   `json:"winner"`
	Losers []string `json:"losers"`
	// Same says that all of them bring the same content.
	Same bool `json:"same,omitempty"`
}

// Folder is a folder of the host whose attributes an extension would change.
type Folder struct {
	// Path is absolute, below the root.
	Path string
	// Mode, UID, GID and Label (nil if there is none) are the host's.
	Mode     uint32
	UID, GID uint32
	Label    []byte
	// Extension is the topmost one that has the folder, with others.
	Extension string
}

// Change is a path that looks otherwise after the merge.
type Change struct {
	Path string `json:"path"`
	// Change is "added" or, where the host has something of that path, "replaced".
	Change string `json:"change"`
	// Extension is the one whose file it is.
	Extension string `json:"extension"`
}

// maxCompared bounds how many bytes are read to find out whether files in a
// conflict are the same.
const maxCompared = 1 << 30

// Conflicts returns the paths that two extensions, or an extension and the host,
// both bring, in bytewise order. Items that are still Unsettled are not looked at.
func (p *Plan) Conflicts(ctx context.Context) ([]Conflict, error) {
	var all []Conflict
	left := int64(maxCompared)
	for _, at := range p.merged(maps.Keys(p.union.conflicts)) {
		c := *p.union.conflicts[at]
		c.Losers = slices.Clone(c.Losers)
		var err error
		if c.Kind == OverHost || c.Kind == OverExtension {
			c.Same, err = p.same(ctx, c, &left)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("comparing what is brought as %q: %w", at, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// Vanishing returns the host's paths that would not be seen any more, in bytewise
// order: for a folder, its path alone.
func (p *Plan) Vanishing() []string { return p.merged(maps.Keys(p.union.vanishing)) }

// Changes returns the paths that look otherwise after the merge than without any,
// in bytewise order; folders only where the host has none.
func (p *Plan) Changes() []Change {
	var all []Change
	for _, at := range p.merged(maps.Keys(p.union.nodes)) {
		n := p.union.nodes[at]
		c := Change{Path: at, Change: "added", Extension: p.union.owners[n.owner].Name}
		if n.host {
			if c.Change = "replaced"; n.kind == content.TypeFolder && !p.union.vanishing[at] {
				continue
			}
		}
		all = append(all, c)
	}
	return all
}

// same says whether all who bring a path bring the same.
func (p *Plan) same(ctx context.Context, c Conflict, left *int64) (bool, error) {
	files, err := p.brought(c)
	if err != nil {
		return false, err
	}
	first := files[0]
	for _, f := range files[1:] {
		if f.Type() != first.Type() || f.Size != first.Size || f.Target != first.Target || f.Major != first.Major || f.Minor != first.Minor {
			return false, nil
		}
	}
	if first.Type() != content.TypeRegular {
		return true, nil
	}
	if *left -= first.Size * int64(len(files)); *left < 0 {
		return false, nil
	}
	want, err := first.Digest(ctx)
	if err != nil {
		return false, err
	}
	for _, f := range files[1:] {
		if sum, err := f.Digest(ctx); err != nil || sum != want {
			return false, err
		}
	}
	return true, nil
}

// brought returns the files of all in a conflict.
func (p *Plan) brought(c Conflict) ([]*content.File, error) {
	var files []*content.File
	s, rel, ok := p.stackOf(c.Path)
	if !ok {
		return nil, errors.New("it lies in no hierarchy")
	}
	for _, name := range append([]string{c.Winner}, c.Losers...) {
		if name == Host {
			f, err := p.views[s.Path].tree.Lstat(rel)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
			continue
		}
		n := slices.IndexFunc(s.Layers, func(l Layer) bool { return l.Name == name })
		if n < 0 {
			return nil, fmt.Errorf("%q brings nothing for %q", name, s.Path)
		}
		f, err := s.Layers[n].tree.Lstat(s.Layers[n].Folder + "/" + rel)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// merged sorts paths, and leaves those out that lie in a hierarchy over which
// nothing is laid.
func (p *Plan) merged(paths iter.Seq[string]) []string {
	all := slices.Collect(paths)
	all = slices.DeleteFunc(all, func(at string) bool {
		s, _, ok := p.stackOf(at)
		return !ok || s.Idle
	})
	slices.Sort(all)
	return all
}

// stackOf returns the stack that a path lies in, and the path below it.
func (p *Plan) stackOf(at string) (*Stack, string, bool) {
	for n := range p.Stacks {
		if rel, ok := strings.CutPrefix(at, p.Stacks[n].Path+"/"); ok {
			return &p.Stacks[n], rel, true
		}
	}
	return nil, "", false
}
