package rooted_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/rooted"
)

// root is a folder with files in it: a text, or a link to what follows "-> ".
func root(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "outside"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func tree(t testing.TB) *os.Root {
	t.Helper()
	files := map[string]string{
		"etc/a":         "a",
		"etc/relative":  "-> ../opt/b",
		"etc/absolute":  "-> /opt/b",
		"opt/b":         "b",
		"lib":           "-> usr/lib",
		"usr/lib/c":     "c",
		"etc/over":      "-> /lib/c",
		"etc/folder":    "-> //opt/./../usr",
		"etc/dangling":  "-> /opt/none",
		"etc/far":       "-> dangling",
		"local":         "-> var/none",
		"etc/out":       "-> ../../outside",
		"etc/absolute2": "-> /../outside",
		"etc/circle":    "-> circle",
		"etc/mask":      "-> /dev/null",
		"etc/nearly":    "-> /dev/nul",
		"etc/maskmask":  "-> mask",
		"etc/through":   "-> /etc/a/",
	}
	for i := range 41 {
		files[fmt.Sprintf("many/%d", i)] = fmt.Sprintf("-> %d", i+1)
	}
	files["many/41"] = "end"
	return root(t, files)
}

func TestResolve(t *testing.T) {
	t.Parallel()
	r := tree(t)
	tests := map[string]struct {
		want  string
		err   error
		wrong string
	}{
		"etc/a":             {"etc/a", nil, ""},
		"/etc//./a":         {"etc/a", nil, ""},
		"etc/../opt/b":      {"opt/b", nil, ""},
		"/":                 {".", nil, ""},
		"":                  {".", nil, ""},
		"etc/relative":      {"opt/b", nil, ""},
		"etc/absolute":      {"opt/b", nil, ""},
		"lib/c":             {"usr/lib/c", nil, ""},
		"etc/over":          {"usr/lib/c", nil, ""},
		"etc/folder/lib/c":  {"usr/lib/c", nil, ""},
		"etc/folder":        {"usr", nil, ""},
		"etc/mask":          {rooted.Null, nil, ""},
		"etc/maskmask":      {rooted.Null, nil, ""},
		"dev/null":          {rooted.Null, nil, ""},
		"many/1":            {"many/41", nil, ""},
		"many/0":            {"", nil, "too many links"},
		"etc/circle":        {"", nil, "too many links"},
		"etc/out":           {"", nil, "out of the root folder"},
		"etc/absolute2":     {"", nil, "out of the root folder"},
		"../outside":        {"", nil, "out of the root folder"},
		"etc/../../outside": {"", nil, "out of the root folder"},
		"etc/none":          {"", fs.ErrNotExist, ""},
		"none/a":            {"", fs.ErrNotExist, ""},
		"dev/none":          {"", fs.ErrNotExist, ""},
		"dev/null/x":        {"", fs.ErrNotExist, ""},
		"lib/none":          {"", fs.ErrNotExist, ""},
		// The name is not there, whyever its folder isn't.
		"local/lib":    {"", fs.ErrNotExist, ""},
		"local":        {"", rooted.ErrDangling, ""},
		"/local//.":    {"", rooted.ErrDangling, ""},
		"etc/dangling": {"", rooted.ErrDangling, ""},
		"etc/far":      {"", rooted.ErrDangling, ""},
		"etc/nearly":   {"", rooted.ErrDangling, ""},
		"etc/a/b":      {"", unix.ENOTDIR, ""},
	}
	for name, test := range tests {
		got, err := rooted.Resolve(r, name)
		switch {
		case test.err != nil && !errors.Is(err, test.err),
			test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)),
			test.err == nil && test.wrong == "" && err != nil:
			t.Errorf("%s: error %v", name, err)
		case got != test.want:
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if errors.Is(err, rooted.ErrDangling) && errors.Is(err, fs.ErrNotExist) {
			t.Error("a link that dangles is taken for a name that is missing")
		}
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	r := tree(t)
	if err := unix.Mkfifo(filepath.Join(r.Name(), "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ text, wrong string }{
		"/etc/absolute": {"b", ""},
		"lib/c":         {"c", ""},
		"many/1":        {"", "3 bytes: too large, at most 2 are read"},
		"etc":           {"", "a folder, not a file"},
		"etc/folder":    {"", "a folder, not a file"},
		"fifo":          {"", "not a regular file"},
		"etc/mask":      {"", "a link to what is not there"},
		"etc/dangling":  {"", "a link to what is not there"},
		"etc/out":       {"", "out of the root folder"},
		"dev/null":      {"", fs.ErrNotExist.Error()},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for name, test := range tests {
			b, err := rooted.ReadFile(r, name, 2)
			if (err != nil) != (test.wrong != "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				// ENOENT has other words than fs.ErrNotExist.
				if !errors.Is(err, fs.ErrNotExist) || test.wrong != fs.ErrNotExist.Error() {
					t.Errorf("%s: error %v, want one with %q", name, err, test.wrong)
				}
			}
			if string(b) != test.text {
				t.Errorf("%s: %q", name, b)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a FIFO holds up")
	}
}

// A file that grows while it is read is bounded all the same: files in /proc say
// that they have no bytes.
func TestReadAllGrowing(t *testing.T) {
	t.Parallel()
	r, err := os.OpenRoot("/proc/self")
	if err != nil {
		t.Skip("no /proc")
	}
	t.Cleanup(func() { r.Close() })
	if b, err := rooted.ReadFile(r, "status", 10); err == nil || !strings.Contains(err.Error(), "more than 10 bytes") {
		t.Errorf("%d bytes, error %v", len(b), err)
	}
	if b, err := rooted.ReadFile(r, "status", 1<<20); err != nil || len(b) < 10 {
		t.Errorf("%d bytes, error %v", len(b), err)
	}
}

func TestReadNames(t *testing.T) {
	t.Parallel()
	r := root(t, map[string]string{"d/b": "", "d/a/x": "", "d/c": "-> nowhere", "to": "-> /d", "f": "", "empty": "-> .", "dangling": "-> nowhere"})
	for name, want := range map[string][]string{"d": {"a", "b", "c"}, "/to/": {"a", "b", "c"}, "d/a": {"x"}} {
		got, err := rooted.ReadNames(r, name, 3)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	for name, want := range map[string]error{"none": fs.ErrNotExist, "dangling": rooted.ErrDangling, "f": unix.ENOTDIR} {
		if got, err := rooted.ReadNames(r, name, 3); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: %q, error %v", name, got, err)
		}
	}
	if got, err := rooted.ReadNames(r, "d", 2); err == nil || !strings.Contains(err.Error(), "more than 2 names") {
		t.Errorf("%q, error %v", got, err)
	}
}

// FuzzResolve holds Resolve to what the kernel makes of the same path below the
// same root, wherever os.Root follows it at all.
func FuzzResolve(f *testing.F) {
	for _, target := range []string{"a", "/d/a", "../d", "..", "d/../../x", "//./d//a", "/dev/null", ""} {
		f.Add(target, "d/link")
	}
	f.Fuzz(func(t *testing.T, target, name string) {
		r := root(t, map[string]string{"a": "top", "d/a": "deep", "d/e/a": "deeper"})
		if os.Symlink(target, filepath.Join(r.Name(), "d/link")) != nil {
			t.Skip()
		}
		clean, err := rooted.Resolve(r, name)
		if err != nil {
			if clean != "" {
				t.Error("an error and a path")
			}
			return
		}
		if !filepath.IsLocal(clean) || slices.Contains(strings.Split(clean, "/"), "..") {
			t.Fatalf("%q leads to %q", name, clean)
		}
		if clean == rooted.Null {
			return
		}
		if info, err := r.Lstat(clean); err != nil || info.Mode().Type() == fs.ModeSymlink {
			t.Fatalf("%q leads to %q: %v, %v", name, clean, info, err)
		}
		if want, err := r.Stat(strings.TrimLeft(name, "/")); err == nil {
			if got, err := r.Stat(clean); err != nil || !os.SameFile(want, got) {
				t.Errorf("%q leads to %q, which os.Root does not say", name, clean)
			}
		}
	})
}
