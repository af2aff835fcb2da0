package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/store"
)

// distinct leaves out what lies in the folder twice. Two images of one name are an
// error: nobody knows which was meant.
func (r *Imported) distinct() error {
	var once []*ImportedImage
	for _, im := range r.Images {
		i := slices.IndexFunc(once, func(o *ImportedImage) bool { return o.node == im.node && o.FileName == im.FileName })
		switch {
		case i < 0:
			once = append(once, im)
		case once[i].Digest != im.Digest:
			return hint.Wrap(fmt.Errorf("%q and %q have one name, and are two images", once[i].Source, im.Source), "take one away")
		default:
			im.close()
		}
	}
	r.Images = once
	return nil
}

// compare notes which images a node's store has already.
func (r *Imported) compare(ctx context.Context, n *Node) error {
	images, err := n.store.Images()
	if err != nil {
		return err
	}
	for _, im := range r.Images {
		if im.node != n {
			continue
		}
		if err := im.compare(ctx, images); err != nil {
			return err
		}
	}
	return nil
}

func (im *ImportedImage) compare(ctx context.Context, images []store.Image) error {
	i := slices.IndexFunc(images, func(o store.Image) bool { return o.FileName == im.FileName && !o.Missing })
	if i < 0 || images[i].Size != im.Size {
		return nil
	}
	f, err := im.node.store.OpenImage(images[i])
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, content.Until(ctx, f)); err != nil {
		return fmt.Errorf("comparing %q: %w", im.FileName, err)
	}
	im.Already = im.Digest == "sha256:"+hex.EncodeToString(h.Sum(nil))
	return nil
}

// change puts the images into the stores, which are locked together, and keeps that
// when all of it is made.
func (r *Imported) change(ctx context.Context, nodes []*Node, q ImportRequest) error {
	nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool {
		return !slices.ContainsFunc(r.Images, func(im *ImportedImage) bool { return im.node == n })
	})
	var changes []*store.Change
	var lock func(i int) error
	lock = func(i int) error {
		if i == len(nodes) {
			return r.keep(changes)
		}
		return nodes[i].locked(ctx, func(notes []string) error {
			r.Notes = append(r.Notes, notes...)
			c, err := r.changeOf(ctx, nodes[i], q)
			if err != nil {
				return err
			}
			changes = append(changes, c)
			return errors.Join(lock(i+1), c.Undo())
		})
	}
	return lock(0)
}

// changeOf makes the change of one store.
func (r *Imported) changeOf(ctx context.Context, n *Node, q ImportRequest) (*store.Change, error) {
	if err := r.compare(ctx, n); err != nil {
		return nil, err
	}
	c, err := n.store.Begin()
	if err != nil {
		return nil, err
	}
	var enable []store.Image
	for _, im := range r.Images {
		if im.node != n {
			continue
		}
		enable = append(enable, store.Image{FileName: im.FileName, Name: extension.NameOf(n.Kind, im.FileName)})
		im.Path = "/" + path.Join(n.store.Path(), im.FileName)
		if im.Already {
			continue
		}
		if err := n.put(ctx, c, &im.Downloaded, im.staged, q.AllowUntrusted); err != nil {
			return nil, errors.Join(err, c.Undo())
		}
	}
	if err := n.tryAnew(enable); err != nil {
		return nil, errors.Join(err, c.Undo())
	}
	return c, c.Enable(enable, r.Profiles)
}

func (r *Imported) keep(changes []*store.Change) error {
	for _, c := range changes {
		if c.Empty() {
			continue
		}
		if err := c.Keep(); err != nil {
			return err
		}
		r.Done = true
	}
	return nil
}

func (im *ImportedImage) close() {
	if im.staged != nil {
		im.staged.Discard()
	}
	if im.file != nil {
		_ = im.file.Close() // it was only read
	}
	im.staged, im.file = nil, nil
}
