package source

import (
	"errors"
	"fmt"
	"os"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

// openDir opens a folder as an image of one layer. Owners are those on disk.
func openDir(path string, o Options) (*Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, hint.Wrap(err, "name an existing folder")
	}
	if !info.IsDir() {
		return nil, hint.Wrap(fmt.Errorf("%q is not a folder", path), "did you mean file:"+path+"?")
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	if info, err = root.Stat("."); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Image{
		Origin:  fmt.Sprintf("folder %q", path),
		Layers:  []*Layer{{Size: -1, folder: tree.Dir(root, o.Wanted)}},
		closers: []func() error{root.Close},
		file:    info,
	}, nil
}
