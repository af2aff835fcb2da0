package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"inlay/internal/content"
	"inlay/internal/hint"
	"inlay/internal/stage"
)

// Copied says what was taken out of an extension.
type Copied struct {
	From string `json:"from"` // in the extension, links resolved
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// CopyTo takes one regular file out of the extension at path, into the file
// output, which appears complete or not at all. It has the permissions of the
// original, without setuid and its kin, and the owner of who runs this.
func CopyTo(ctx context.Context, path, name, output string) (*Copied, error) {
	var copied *Copied
	err := take(path, name, func(r io.Reader, f *content.File) error {
		to, err := stage.Create(output, fs.FileMode(f.Mode&0o777))
		if err != nil {
			return err
		}
		defer to.Discard()
		if _, err := io.Copy(to, content.Until(ctx, r)); err != nil {
			return err
		}
		copied = &Copied{"/" + f.Path, output, f.Size}
		return to.Commit()
	})
	return copied, err
}

// Copy is CopyTo for a stream.
func Copy(ctx context.Context, path, name string, w io.Writer) error {
	return take(path, name, func(r io.Reader, _ *content.File) error {
		_, err := io.Copy(w, content.Until(ctx, r))
		return err
	})
}

// take opens the file called name in the extension at path for do.
func take(path, name string, do func(io.Reader, *content.File) error) error {
	x, err := content.OpenExtension(path)
	if err != nil {
		return err
	}
	defer x.Close()
	tree, err := filesOf(x, path)
	if err != nil {
		return err
	}
	r, f, err := tree.Open(name)
	switch {
	case errors.Is(err, syscall.EISDIR):
		err = hint.Wrap(fmt.Errorf("%q is a folder", name), "name a regular file; --list shows them")
	case err != nil:
		err = hint.Default(err, "name a regular file in the extension; --list shows them")
	}
	if err != nil {
		return fmt.Errorf("copying from %q: %w", path, err)
	}
	defer r.Close()
	if err := do(r, f); err != nil {
		return fmt.Errorf("copying %q from %q: %w", name, path, err)
	}
	return nil
}
