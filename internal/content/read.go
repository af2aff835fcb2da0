package content

import (
	"fmt"
	"io"
	"syscall"
)

// Open returns the content of the regular file called name, links resolved, and
// what it is. The reader gives exactly as many bytes as the file has; the caller
// closes it.
func (t *Tree) Open(name string) (io.ReadCloser, *File, error) {
	f, n, err := t.find(name, true)
	if err != nil {
		return nil, nil, err
	}
	switch f.Type() {
	case TypeRegular:
	case TypeFolder:
		return nil, nil, fmt.Errorf("opening %q: %w", name, syscall.EISDIR)
	default:
		return nil, nil, fmt.Errorf("opening %q: it is no regular file", name)
	}
	r, err := open(f, n)
	if err != nil {
		return nil, nil, err
	}
	return r, f, nil
}

func open(f *File, n node) (io.ReadCloser, error) {
	var content io.ReadCloser
	err := guard(func() (err error) {
		content, err = n.open()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", rooted(f.Path), err)
	}
	return &exactly{content, f.Size}, nil
}

// ReadFile returns the content of the regular file called name, links
// resolved, if it has at most limit bytes.
func (t *Tree) ReadFile(name string, limit int64) ([]byte, error) {
	r, f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if f.Size > limit {
		return nil, fmt.Errorf("reading %q: its %d bytes are more than %d", rooted(f.Path), f.Size, limit)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", rooted(f.Path), err)
	}
	return text, nil
}

// Regular returns the names of the regular files in a folder, sorted. What a
// link leads to does not count.
func (t *Tree) Regular(folder string) ([]string, error) {
	f, n, err := t.find(folder, true)
	if err != nil {
		return nil, err
	}
	if f.Type() != TypeFolder {
		return nil, fmt.Errorf("opening %q: %w", folder, syscall.ENOTDIR)
	}
	list, err := t.children(f.Path, n)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range list {
		inside, err := t.stat(below(f.Path, c.name), c.node)
		if err != nil {
			return nil, err
		}
		if inside.Type() == TypeRegular {
			names = append(names, c.name)
		}
	}
	return names, nil
}

// Xattr returns an extended attribute of the file called name, links resolved.
func (t *Tree) Xattr(name, attribute string) (value []byte, found bool, err error) {
	f, _, err := t.find(name, true)
	if err != nil {
		return nil, false, err
	}
	for _, x := range f.Xattrs {
		if x.Name == attribute {
			return x.Value, true, nil
		}
	}
	return nil, false, nil
}
