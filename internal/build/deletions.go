package build

import (
	"context"
	"io"
	"maps"
	"strings"

	"inlay/internal/tree"
)

// deletions are what whiteouts and opaque markers take from the layers below.
type deletions struct {
	names   map[string]bool // gone, with all below
	folders map[string]bool // emptied
}

// note takes down e if it deletes something.
func (d *deletions) note(e *tree.Entry) {
	switch e.Kind {
	case tree.Whiteout:
		d.names = with(d.names, e.Name)
	case tree.Opaque:
		d.folders = with(d.folders, e.Name)
	}
}

func with(set map[string]bool, name string) map[string]bool {
	if set == nil {
		set = map[string]bool{}
	}
	set[strings.Clone(name)] = true
	return set
}

// join adds what other deletes.
func (d *deletions) join(other deletions) {
	for name := range maps.Keys(other.names) {
		d.names = with(d.names, name)
	}
	for name := range maps.Keys(other.folders) {
		d.folders = with(d.folders, name)
	}
}

// hides says whether name of a lower layer is gone.
func (d *deletions) hides(name string) bool {
	if d.names[name] || d.folders[""] {
		return true
	}
	for i := range len(name) {
		if name[i] == '/' && (d.names[name[:i]] || d.folders[name[:i]]) {
			return true
		}
	}
	return false
}

// watched is a layer whose deletions are taken down as it is read.
type watched struct {
	tree.Layer
	deleted *deletions
}

// Walk implements tree.Layer.
func (w watched) Walk(ctx context.Context, fn func(*tree.Entry, io.Reader) error) error {
	return w.Layer.Walk(ctx, func(e *tree.Entry, r io.Reader) error {
		w.deleted.note(e)
		return fn(e, r)
	})
}
