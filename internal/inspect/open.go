package inspect

import (
	"errors"
	"fmt"

	"inlay/internal/content"
	"inlay/internal/hint"
)

// filesOf returns the files of an opened extension for whoever needs them.
func filesOf(x *content.Extension, path string) (*content.Tree, error) {
	tree, err := x.Tree()
	if err != nil {
		return nil, fmt.Errorf("reading the files of %q: %w", path, advise(err))
	}
	return tree, nil
}

// advise adds what to do about files that cannot be read.
func advise(err error) error {
	if _, ok := errors.AsType[*content.Unread](err); ok {
		return hint.Default(err, "mount the image to reach its files, or pack it as EROFS without compression, squashfs or ext4")
	}
	return hint.Default(err, "run inlay verify to see whether the image is damaged")
}
