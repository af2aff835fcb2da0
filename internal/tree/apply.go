package tree

import (
	"context"
	"fmt"

	"inlay/internal/hint"
)

// maxRetries is how often hard links that come before their file are tried
// again; each round settles one more link of a chain.
const maxRetries = 40

// applier puts one layer on top of the tree of those below it.
type applier struct {
	*merge
	tree    *Tree
	layer   uint16 // from 1
	records *records
	own     map[string]Kind // see ownNames

	route route // the last one resolved
}

// apply does as the OCI specification says: whiteouts act on the layers below
// only, wherever they stand in the layer; all else happens in order.
func (a *applier) apply(ctx context.Context) error {
	for _, h := range a.records.hides {
		if err := a.hide(h); err != nil {
			return err
		}
	}
	var late []record
	for rec := range a.records.all() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if rec.ino != nil {
			if err := a.place(rec.name, rec.ino); err != nil {
				return err
			}
			continue
		}
		done, err := a.link(rec)
		if err != nil {
			return err
		}
		if !done {
			late = append(late, rec)
		}
	}
	if err := a.linkLate(late); err != nil {
		return err
	}
	for _, h := range a.records.hides {
		above := h.name
		if !h.opaque {
			above, _ = split(h.name)
		}
		if _, err := a.resolve(above, climbOnly); err != nil {
			return err
		}
	}
	return nil
}

// hide takes away what a whiteout or an opaque marker is about.
func (a *applier) hide(h hide) error {
	above, base := split(h.name)
	if h.opaque {
		above = h.name
	}
	at, err := a.resolve(above, climbOnly)
	if err != nil {
		return err
	}
	switch {
	case at == nil:
		a.report.Dropped++
	case h.opaque:
		dir := at.dir()
		if len(dir.dir.runs) == 0 {
			a.report.Dropped++
		}
		for _, child := range dir.Children() {
			child.unlink()
		}
		dir.dir.runs = nil
	case !at.dir().remove(base):
		a.report.Dropped++
	}
	return nil
}

// place puts an inode of this layer under name.
func (a *applier) place(name string, ino *Inode) error {
	ino.layer = a.layer
	if name == "" {
		ino.dir, ino.Links = a.tree.root.dir, 1
		a.tree.root = ino
		return nil
	}
	above, base := split(name)
	at, err := a.resolve(above, climbMake)
	if err != nil {
		return err
	}
	old := at.dir().child(base)
	if ino.Kind() == Symlink && old != nil && old.dir != nil && old.dir.filled == a.layer {
		err := fmt.Errorf("the layer has entries in %s and makes it a symbolic link", quote(name))
		return hint.Wrap(err, "make the layer again, with the one or the other")
	}
	at.dir().replace(base, ino)
	return nil
}

// link gives the file of another name one more; done is false if there is no
// such file yet.
func (a *applier) link(rec record) (done bool, err error) {
	above, base := split(rec.link)
	at, err := a.resolve(above, climbOnly)
	if err != nil || at == nil {
		return false, err
	}
	ino := at.dir().child(base)
	if ino == nil {
		return false, nil
	}
	if ino.dir != nil {
		err := fmt.Errorf("%s is a hard link to the folder %s", quote(rec.name), quote(rec.link))
		return false, hint.Wrap(err, "make it a symbolic link: no file system has hard links to folders")
	}
	return true, a.place(rec.name, ino)
}

// linkLate sees to the hard links whose files came after them, as they do in
// images that a tool has flattened, and refuses those that lead nowhere.
func (a *applier) linkLate(late []record) error {
	for range maxRetries {
		var still []record
		for _, rec := range late {
			done, err := a.link(rec)
			if err != nil {
				return err
			}
			if !done {
				still = append(still, rec)
			}
		}
		if len(still) == len(late) {
			break
		}
		late = still
	}
	for _, rec := range late {
		above, base := split(rec.name)
		at, err := a.resolve(above, climbOnly)
		if err != nil {
			return err
		}
		final := rec.name
		if at != nil {
			final = at.name(base)
		}
		if a.options.Keep(final) {
			err := fmt.Errorf("%s is a hard link to %s, which the chosen layers don't have", quote(rec.name), quote(rec.link))
			return hint.Wrap(err, "use --layers all, or choose the layer that brings the file")
		}
		a.report.Skipped++
	}
	return nil
}
