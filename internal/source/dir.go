package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

func openDir(path string, o Options) (*Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, hint.Wrap(err, "name an existing folder")
	}
	if !info.IsDir() {
		return nil, hint.Wrap(fmt.Errorf("%q is not a folder", path), "did you mean file:"+path+"?")
	}
	return &Image{
		Origin: fmt.Sprintf("folder %q", path),
		Layers: []*Layer{{Size: -1, folder: dirLayer{}}},
	}, nil
}

type dirLayer struct{}

func (dirLayer) Name() string { return "folder" }
func (dirLayer) Walk(context.Context, func(*tree.Entry, io.Reader) error) error {
	return errors.New("not yet")
}
