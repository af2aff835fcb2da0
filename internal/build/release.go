package build

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/osrelease"
	"inlay/internal/tree"
)

// maxReleases bounds what the release files of a source take together, in
// bytes: they wait in memory, and compress a thousandfold.
const maxReleases = 1 << 20

// releaseCatcher keeps the release files that pass on their way into the
// image: what becomes of them is known only when all layers are read.
type releaseCatcher struct {
	packer
	prefix string // of every path that is a release file
	label  func(name string, ino *tree.Inode)

	caught map[*tree.Inode][]byte
	order  []*tree.Inode // of caught, as they came
	bytes  int64         // of caught
}

func newReleaseCatcher(p packer, k extension.Kind, label func(string, *tree.Inode)) *releaseCatcher {
	return &releaseCatcher{packer: p, prefix: k.ReleaseFile(""), caught: map[*tree.Inode][]byte{}, label: label}
}

// Store implements tree.Sink.
func (c *releaseCatcher) Store(name string, ino *tree.Inode, r io.Reader) error {
	c.label(name, ino)
	if !strings.HasPrefix(name, c.prefix) || strings.Contains(name[len(c.prefix):], "/") {
		return c.packer.Store(name, ino, r)
	}
	if ino.Size > osrelease.MaxSize {
		return hint.Wrap(fmt.Errorf("the release file %q has %d bytes, more than %d", "/"+name, ino.Size, osrelease.MaxSize),
			"shorten it, or leave it out of the image and have one made")
	}
	if c.bytes += ino.Size; c.bytes > maxReleases {
		return hint.Wrap(fmt.Errorf("the source brings release files of more than %d bytes together", maxReleases),
			"leave those of other extensions out of the image")
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if _, again := c.caught[ino]; !again {
		c.order = append(c.order, ino)
	}
	c.caught[ino] = text
	return nil
}

// release decides on the release file of the image: the one that the source
// brings, under whatever name, or a new one, and the options on top.
func (b *builder) release() (*osrelease.Release, error) {
	own := b.Kind.ReleaseFile(b.Name)
	brought, err := b.broughtRelease(own)
	if err != nil {
		return nil, err
	}
	r := extension.DefaultRelease(b.Architecture)
	if brought != "" {
		if r, err = osrelease.Parse(b.sink.caught[b.tree.Lookup(brought)]); err != nil {
			err = hint.Default(err, "correct it, or leave it out of the image and have one made")
			return nil, fmt.Errorf("reading %q: %w", "/"+brought, err)
		}
		if brought != own {
			b.note("the keys of /%s went into /%s, the name that systemd looks for in an image called %s", brought, own, b.Name)
			b.tree.Remove(brought)
		}
	}
	for _, f := range b.Release {
		r.Set(f.Key, f.Value)
	}
	if b.ServiceReload || len(b.EnableUnits) > 0 {
		r.Set(extension.KeyReloadManager, "1")
	}
	if err := extension.CheckRelease(b.Kind, b.Architecture, r); err != nil {
		return nil, err
	}
	if narrow := extension.NarrowRelease(b.Kind, r); narrow != "" {
		b.warn("%s", narrow)
	}
	return r, nil
}

// broughtRelease returns the path of the one release file that the source
// brings for this image, or "".
func (b *builder) broughtRelease(own string) (string, error) {
	var found []string
	for name, node := range b.tree.All() {
		if !strings.HasPrefix(name, b.sink.prefix) {
			continue
		}
		if _, caught := b.sink.caught[node]; !caught {
			return "", hint.Wrap(fmt.Errorf("the release file %q is not a plain file", "/"+name), "make it one, or leave it out of the image")
		}
		found = append(found, name)
	}
	switch {
	case len(found) == 0:
		return "", nil
	case slices.Contains(found, own):
		return own, nil
	case len(found) == 1:
		return found[0], nil
	}
	return "", hint.Wrap(fmt.Errorf("the source brings %d release files, none of them for %q: %s", len(found), b.Name, strings.Join(found, ", ")),
		"name the extension after one of them, or leave one in the image")
}

// writeRelease puts the release file into the tree, and stores what else was
// caught and still has a name.
func (b *builder) writeRelease(r *osrelease.Release) error {
	own := b.Kind.ReleaseFile(b.Name)
	b.tree.Remove(own)
	for _, ino := range b.sink.order {
		if ino.Links == 0 {
			continue
		}
		if err := b.storeText(b.Kind.ReleaseFolder, ino, b.sink.caught[ino]); err != nil {
			return err
		}
	}
	return b.addFile(own, r.Format())
}
