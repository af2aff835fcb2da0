//go:build linux

package tree_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"inlay/internal/tree"
)

// manyFiles makes more files than are read ahead at once, of all sizes up to
// and beyond those that are.
func manyFiles(t *testing.T) (dir string, content map[string]string) {
	t.Helper()
	dir, content = t.TempDir(), map[string]string{}
	for i := range 900 {
		name := fmt.Sprintf("d%02d/f%03d", i/90, i)
		if i%90 == 0 {
			if err := os.Mkdir(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		size := i * 3
		switch i % 100 {
		case 50:
			size = 64<<10 + i/100 - 4 // around what is small
		case 51:
			size = 300_000
		case 52:
			size = 0
		}
		content[name] = strings.Repeat(fmt.Sprintf("%09d ", i), size/10+1)[:size]
		write(t, filepath.Join(dir, name), content[name])
	}
	return dir, content
}

// TestDirReadsAhead: whatever was read when, each entry has its own content,
// entries come in order, and some content stays unread.
func TestDirReadsAhead(t *testing.T) {
	t.Parallel()
	dir, content := manyFiles(t)
	for name, wanted := range map[string]func(string) bool{
		"all": nil, "half": func(name string) bool { return strings.HasSuffix(name, "1") || !strings.Contains(name, "/") },
	} {
		seen, before := 0, ""
		err := tree.Dir(openRoot(t, dir), wanted).Walk(t.Context(), func(e *tree.Entry, r io.Reader) error {
			if e.Name < before {
				t.Errorf("%s: %q comes after %q", name, e.Name, before)
			}
			before = e.Name
			if e.Kind != tree.Regular {
				return nil
			}
			seen++
			if seen%7 == 0 {
				return nil
			}
			got, err := io.ReadAll(r)
			if string(got) != content[e.Name] || int64(len(got)) != e.Size {
				t.Errorf("%s: %q has %d bytes of %d, not its own", name, e.Name, len(got), e.Size)
			}
			return err
		})
		if err != nil || seen != len(content) {
			t.Errorf("%s: %d files of %d: %v", name, seen, len(content), err)
		}
	}
}

// TestDirStopsReadingAhead: neither an error of who looks nor the end of a
// context leaves a goroutine behind. It cannot be parallel: it counts them.
func TestDirStopsReadingAhead(t *testing.T) {
	dir, _ := manyFiles(t)
	before := runtime.NumGoroutine()
	enough := errors.New("enough")
	for _, after := range []int{1, 2, 300, 899} {
		ctx, cancel := context.WithCancel(t.Context())
		for _, give := range []error{enough, context.Canceled} {
			n := 0
			err := tree.Dir(openRoot(t, dir), nil).Walk(ctx, func(*tree.Entry, io.Reader) error {
				if n++; n < after {
					return nil
				}
				if give == enough { //nolint:errorlint // it is this one
					return enough
				}
				cancel()
				return ctx.Err()
			})
			if !errors.Is(err, give) {
				t.Errorf("after %d: %v", after, err)
			}
		}
		cancel()
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines are left", now-before)
	}
}

// TestDirKeepsWhatItRead: a small file that changes after it was read comes as it
// was, whole.
func TestDirKeepsWhatItRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	write(t, file, "as it was")
	err := tree.Dir(openRoot(t, dir), nil).Walk(t.Context(), func(e *tree.Entry, r io.Reader) error {
		if r == nil {
			return nil
		}
		write(t, file, "as it is now")
		got, err := io.ReadAll(r)
		if string(got) != "as it was" || e.Size != int64(len(got)) {
			t.Errorf("%d bytes: %q", e.Size, got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
