package verify_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/verify"
)

// given is a file that is open, below a root, and a root for it.
func given(t *testing.T, root, name string) verify.Given {
	t.Helper()
	r, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f, err := r.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	sysext := extension.Sysext()
	return verify.Given{Path: "/somewhere/" + name, Name: "foo", Kind: &sysext, File: f, Root: r, Beside: []string{name}}
}

// TestFromBeside: files beside the image are looked for below the root alone,
// and nothing there holds up.
func TestFromBeside(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		make  func(root, at string) error
		texts string
		fault string
	}{
		"nothing":       {func(string, string) error { return nil }, "", ""},
		"a file":        {func(_, at string) error { return os.WriteFile(at, []byte("ab"), 0o644) }, "ab", ""},
		"an inner link": {func(_, at string) error { return os.Symlink("/hash", at) }, "cd", ""},
		"a dead link":   {func(_, at string) error { return os.Symlink("/none", at) }, "", ""},
		"an outer link": {func(_, at string) error { return os.Symlink("/../../../../../../../../../../etc/hostname", at) }, "", "out of the root folder"},
		"a FIFO":        {func(_, at string) error { return unix.Mkfifo(at, 0o644) }, "", "not a regular file"},
		"a folder":      {func(_, at string) error { return os.Mkdir(at, 0o755) }, "", "a folder"},
		"a large file":  {func(_, at string) error { return os.WriteFile(at, make([]byte, 2000), 0o644) }, "", "2000 bytes"},
	}
	for name, test := range tests {
		root := t.TempDir()
		for _, file := range []string{"x.raw", "hash"} {
			if err := os.WriteFile(filepath.Join(root, file), []byte("cd"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := test.make(root, filepath.Join(root, "x.roothash")); err != nil {
			t.Fatal(err)
		}
		s, err := verify.From(given(t, root, "x.raw"))
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, statement := range s.Statements {
			texts = append(texts, statement.Text)
		}
		if strings.Join(texts, " ") != test.texts || (s.Fault == nil) != (test.fault == "") || s.Fault != nil && !strings.Contains(s.Fault.Error(), test.fault) {
			t.Errorf("%s: %q, fault %v", name, texts, s.Fault)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFromTakesOver: what is given is closed with the subject, or at once.
func TestFromTakesOver(t *testing.T) {
	t.Parallel()
	g := given(t, "/dev", "null")
	if s, err := verify.From(g); err == nil || s != nil {
		t.Error("a character device is taken for an extension")
	}
	if err := g.File.Close(); err == nil {
		t.Error("the file stays open")
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x.raw"), []byte("cd"), 0o644); err != nil {
		t.Fatal(err)
	}
	g = given(t, root, "x.raw")
	s, err := verify.From(g)
	if err != nil {
		t.Fatal(err)
	}
	if s.Path != "/somewhere/x.raw" || s.Name != "foo" || s.Kind.Name != "sysext" || s.Size != 2 {
		t.Errorf("%+v", s)
	}
	if err := s.Close(); err != nil || g.File.Close() == nil {
		t.Errorf("the file stays open, error %v", err)
	}
}
