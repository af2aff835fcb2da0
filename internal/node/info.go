package node

import (
	"context"
	"fmt"
	"io"

	"inlay/internal/content"
	"inlay/internal/ddi"
)

// Info is what an extension says of itself.
type Info struct {
	Entry
	Release []string `json:"release,omitempty"`
	Files   []string `json:"files"`
	// Unread says why the files could not be read.
	Unread string `json:"unread,omitempty"`
}

// Info shows the release file and the files of one extension.
func (n *Node) Info(ctx context.Context, pattern string) (*Info, error) {
	images, err := n.find([]string{pattern}, false)
	if err != nil {
		return nil, err
	}
	im := images[0]
	info := &Info{Entry: n.entry(im, Seen{}), Files: []string{}}
	v, err := n.look(ctx, im)
	if err != nil {
		return nil, err
	}
	info.apply(summarize(v))
	info.Release = v.Release
	f, err := n.store.OpenImage(im)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tree, err := filesOf(f, im.Size)
	if err != nil {
		info.Unread = err.Error()
		return info, nil
	}
	err = tree.Walk(ctx, func(f *content.File) error {
		if f.Type() != content.TypeFolder {
			info.Files = append(info.Files, "/"+f.Path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", im.FileName, err)
	}
	return info, nil
}

// filesOf opens the file system of an image: of its data partition, or naked.
func filesOf(f io.ReaderAt, size int64) (*content.Tree, error) {
	image, err := ddi.Open(f, size)
	if err != nil {
		return content.Open(f, size)
	}
	section := image.FileSystem()
	tree, err := content.Open(section, section.Size())
	if err == nil && image.Designator == "usr" {
		tree = tree.Under(image.Designator)
	}
	return tree, err
}
