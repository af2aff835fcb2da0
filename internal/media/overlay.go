package media

import (
	"context"
	"io"
	"path"

	"inlay/internal/tree"
)

// overlay is a folder of files to lay over a root. In an image's layer, a folder
// takes the place of a link; but who puts lib/firmware into an overlay does not
// want /lib to be a folder of its own. So an overlay's files go where the links
// below lead, and its folders count only where there are none yet.
type overlay struct {
	tree.Layer
	made []*tree.Entry
}

// Walk implements tree.Layer.
func (o *overlay) Walk(ctx context.Context, fn func(*tree.Entry, io.Reader) error) error {
	o.made = nil
	return o.Layer.Walk(ctx, func(e *tree.Entry, r io.Reader) error {
		if e.Kind != tree.Directory {
			return fn(e, r)
		}
		if e.Name != "" {
			kept := *e
			o.made = append(o.made, &kept)
		}
		return nil
	})
}

// makeFolders makes the folders that are new, with the overlay's attributes.
func (o *overlay) makeFolders(s *System, attributes func(*tree.Entry) error) error {
	for _, e := range o.made {
		at, ino, err := s.resolve(e.Name)
		if err != nil {
			above, _, err := s.resolve(path.Dir(e.Name))
			if err != nil {
				return err
			}
			ino, at = nil, path.Join(above, path.Base(e.Name))
		}
		switch {
		case ino == nil:
			ino = tree.NewInode(tree.Directory, 0)
			if err := s.tree.Insert(at, ino); err != nil {
				return err
			}
		case !ino.Implied:
			continue
		}
		if err := attributes(e); err != nil {
			return err
		}
		ino.Mode = ino.Mode&^0o7777 | e.Mode
		ino.UID, ino.GID, ino.Sec, ino.Nsec, ino.Xattrs, ino.Implied = e.UID, e.GID, e.Sec, e.Nsec, e.Xattrs, false
	}
	return nil
}
