//go:build linux

package tree_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sample(t, dir)
	var d digests
	tr, report, err := tree.Merge(t.Context(), []tree.Layer{tree.Dir(openRoot(t, dir), nil)}, tree.Options{}, &d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(onDisk(t, dir), inTree(t, tr, &d)); diff != "" {
		t.Errorf("the folder and its tree differ (-disk +tree):\n%s", diff)
	}
	if len(report.Twice) != 0 {
		t.Errorf("read twice: %q", report.Twice)
	}
}

func TestDirOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b/z", "b/a", "a-b", "a/b", "a.b"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	err := tree.Dir(openRoot(t, dir), nil).Walk(t.Context(), func(e *tree.Entry, _ io.Reader) error {
		names = append(names, e.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", "a", "a/b", "a-b", "a.b", "b", "b/a", "b/z"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestDirStaysInside(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"folder": outside, "file": filepath.Join(outside, "secret")} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var s store
	tr, _, err := tree.Merge(t.Context(), []tree.Layer{tree.Dir(openRoot(t, dir), nil)}, tree.Options{}, &s)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"sym file -> " + outside + "/secret", "sym folder -> " + outside}
	if diff := cmp.Diff(want, show(t, tr, &s)); diff != "" {
		t.Error(diff)
	}
}

func TestDirRefuses(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("four", 1<<15) // so that it is not read ahead
	// Each case gets a folder with the file "f" in it; touch runs when f's entry is given.
	for _, c := range []struct {
		name   string
		before func(t *testing.T, dir string)
		touch  func(t *testing.T, file string)
		want   string
		advice string
	}{
		{"socket", func(t *testing.T, dir string) {
			if err := unix.Mknod(filepath.Join(dir, "sock"), unix.S_IFSOCK|0o600, 0); err != nil {
				t.Fatal(err)
			}
		}, nil, `"sock": it is a socket`, "remove it"},
		{"below a whiteout", func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, ".wh.x/y"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, nil, `".wh.x/y": it lies below the whiteout`, ""},
		{"grows", nil, func(t *testing.T, file string) { write(t, file, "more than it was") }, `"f": it changed`, "try again"},
		{"shrinks", nil, func(t *testing.T, file string) { write(t, file, "") }, `"f": it changed`, "try again"},
		{"becomes a link", nil, func(t *testing.T, file string) {
			write(t, file+"2", large)
			replace(t, file, func() error { return os.Symlink("f2", file) })
		}, `"f": it changed`, "try again"},
		{"becomes another file", nil, func(t *testing.T, file string) {
			replace(t, file, func() error { return os.WriteFile(file, []byte(large), 0o644) })
		}, `"f": it changed`, "try again"},
		{"goes", nil, func(t *testing.T, file string) { replace(t, file, func() error { return nil }) }, `"f"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "f")
			write(t, file, large)
			age(t, file)
			if c.before != nil {
				c.before(t, dir)
			}
			err := tree.Dir(openRoot(t, dir), nil).Walk(t.Context(), func(_ *tree.Entry, r io.Reader) error {
				if r == nil {
					return nil
				}
				if c.touch != nil {
					c.touch(t, file)
				}
				n, err := io.Copy(io.Discard, r)
				if c.touch != nil && n > 0 {
					t.Errorf("%d bytes were read", n)
				}
				return err
			})
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(strings.Join(hint.Of(err), "; "), c.advice) {
				t.Errorf("error %q with hints %q does not say %q, %q", err, hint.Of(err), c.want, c.advice)
			}
		})
	}
}

func TestDirChangesInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"same size": 1 << 20, "shorter": 5000, "longer": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "f")
			write(t, file, strings.Repeat("x", 1<<20))
			age(t, file)
			err := tree.Dir(openRoot(t, dir), nil).Walk(t.Context(), func(_ *tree.Entry, r io.Reader) error {
				if r == nil {
					return nil
				}
				if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
					t.Error(err)
				}
				write(t, file, strings.Repeat("y", size))
				n, err := io.Copy(io.Discard, r)
				if short := size < 1<<20; short != (err != nil) {
					t.Errorf("reading on gave %d bytes and %v", n, err)
				}
				return nil // what reading misses, the end finds
			})
			if err == nil || !strings.Contains(err.Error(), `"f": it changed`) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// age makes a file old: clocks tick too slowly to tell writes of one test apart.
func age(t *testing.T, file string) {
	t.Helper()
	if err := os.Chtimes(file, epoch, epoch); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, file string, with func() error) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := with(); err != nil {
		t.Fatal(err)
	}
}

// What lies outside the wanted folders may be unreadable or no file at all.
func TestDirPassesOverWhatIsNotWanted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"usr/bin/tool", "run/file", "var/x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), "x")
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "run/s"))
	if err != nil {
		t.Skipf("the folder's path is too long for a socket: %v", err)
	}
	defer listener.Close()
	wanted := func(name string) bool { return name == "" || name == "usr" || strings.HasPrefix(name, "usr/") }
	var names []string
	err = tree.Dir(openRoot(t, dir), wanted).Walk(t.Context(), func(e *tree.Entry, _ io.Reader) error {
		names = append(names, e.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", "run", "run/file", "usr", "usr/bin", "usr/bin/tool", "var", "var/x"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	err = tree.Dir(openRoot(t, dir), nil).Walk(t.Context(), func(*tree.Entry, io.Reader) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "socket") {
		t.Errorf("without a wish the socket gives %v", err)
	}
}
