// Package diff says what changed between two extensions, of whatever form: in
// their files, release files, signers and root hashes. Nothing is mounted and
// nothing is verified; who signed is a claim.
//
// Times of modification and numbers of links are not compared: the first differ
// between any two builds without SOURCE_DATE_EPOCH, and the second follow from
// names.
package diff

import (
	"context"
	"fmt"
	"path/filepath"

	"inlay/internal/content"
)

// Side is one of the two.
type Side struct {
	Path string `json:"path"`
	// Size of the image in bytes; 0 for a folder.
	Size int64 `json:"size"`
	// Files counts all names below the root, Bytes the content of regular ones,
	// each name on its own.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Change is something that has another value in B than in A. What is missing
// on a side is "".
type Change struct {
	What string `json:"what"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// File is a file that is in one of the two.
type File struct {
	Path string `json:"path"`
	Type string `json:"type"`
	Size int64  `json:"size"`
}

// Changed is a file that is in both and not the same.
type Changed struct {
	Path    string   `json:"path"`
	Changes []Change `json:"changes"`
}

// Result is what changed from A to B.
type Result struct {
	// Same says that nothing differs: nothing at all, or of the files alone. It
	// is false where files could not be read.
	Same      bool `json:"same"`
	SameFiles bool `json:"sameFiles"`
	A         Side `json:"a"`
	B         Side `json:"b"`
	// Image are the facts about the images, such as "rootHash" and "signer".
	Image   []Change  `json:"image"`
	Release []Change  `json:"release"`
	Added   []File    `json:"added"`
	Removed []File    `json:"removed"`
	Changed []Changed `json:"changed"`
	// Unread says what could not be read, and why.
	Unread []string `json:"unread,omitempty"`
}

// side is one of the two while it is read.
type side struct {
	*content.Extension
	name  string
	facts []fact
	tree  *content.Tree // nil if the files cannot be read
}

// Run compares the extensions at the paths a and b. What cannot be read in
// them stands in the result's Unread; only what is no extension at all is an
// error.
func Run(ctx context.Context, a, b string) (*Result, error) {
	r := &Result{
		Image: []Change{}, Release: []Change{}, Added: []File{}, Removed: []File{}, Changed: []Changed{},
		A: Side{Path: a}, B: Side{Path: b},
	}
	from, err := r.open(&r.A)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := r.open(&r.B)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	r.Image = changes(from.facts, to.facts)
	if from.tree != nil && to.tree != nil {
		r.Release = changes(r.release(a, from), r.release(b, to))
		if err := r.files(ctx, from.tree, to.tree); err != nil {
			return nil, err
		}
	}
	r.SameFiles = len(r.Added)+len(r.Removed)+len(r.Changed)+len(r.Unread) == 0
	r.Same = r.SameFiles && len(r.Image)+len(r.Release) == 0
	return r, nil
}

// open opens one side and reads what there is to know of it without its files.
func (r *Result) open(s *Side) (*side, error) {
	full, err := filepath.Abs(s.Path)
	if err != nil {
		return nil, err
	}
	x, err := content.OpenExtension(s.Path)
	if err != nil {
		return nil, err
	}
	s.Size = x.Size
	opened := &side{Extension: x, name: filepath.Base(full)}
	if opened.tree, err = x.Tree(); err != nil {
		r.unread(s.Path, err)
		opened.tree = nil
	}
	opened.facts = r.facts(s.Path, opened)
	return opened, nil
}

func (r *Result) unread(path string, err error) {
	r.Unread = append(r.Unread, fmt.Sprintf("%s: %v", path, err))
}
