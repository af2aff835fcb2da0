package content_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"testing"

	"inlay/internal/content"
)

// contentOf hashes every regular file of a tree.
func contentOf(t testing.TB, tree *content.Tree) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := tree.Walk(t.Context(), func(f *content.File) error {
		if f.Type() != content.TypeRegular {
			return nil
		}
		r, _, err := tree.Open(f.Path)
		if err != nil {
			return err
		}
		defer r.Close()
		h := sha256.New()
		_, err = io.Copy(h, r)
		sums[f.Path] = fmt.Sprintf("%x", h.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func TestWalkEnds(t *testing.T) {
	t.Parallel()
	tree := open(t, image(t, "squashfs"))
	stop := errors.New("enough")
	count := 0
	err := tree.Walk(t.Context(), func(*content.File) error {
		if count++; count == 3 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || count != 3 {
		t.Errorf("%d calls, %v", count, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = tree.Walk(ctx, func(*content.File) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// FuzzOpen reads all of an image that may be anything.
func FuzzOpen(f *testing.F) {
	for _, kind := range fileSystems() {
		f.Add(image(f, kind))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := content.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		enough := errors.New("enough")
		count := 0
		err = tree.Walk(t.Context(), func(f *content.File) error {
			if count++; count > 100 {
				return enough
			}
			if f.Type() != content.TypeRegular {
				_, _, _ = tree.Resolve(f.Path)
				return nil
			}
			r, same, err := tree.Open(f.Path)
			if err != nil {
				return nil
			}
			defer r.Close()
			if same.Path != f.Path {
				t.Errorf("%q opens %q", f.Path, same.Path)
			}
			n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			if err == nil && n != min(f.Size, 1<<20) {
				t.Errorf("%q has %d bytes, and %d were read", f.Path, f.Size, n)
			}
			return nil
		})
		_ = err
	})
}
