package discover_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/trust"
)

// scene is a root folder. Each line of it makes something: a path that ends with
// a slash is a folder, one with "->" a link, and "fifo", "socket", "char" and
// "block" stand before the path of what they say; all else is a file.
type scene []string

func (s scene) write(t testing.TB, root string) {
	t.Helper()
	for _, line := range s {
		if err := writeLine(root, line); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
}

func writeLine(root, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	special := map[string]uint32{"fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK, "char": unix.S_IFCHR, "block": unix.S_IFBLK}[word]
	if special != 0 {
		line = rest
	}
	name, target, link := strings.Cut(line, " -> ")
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch {
	case special != 0:
		device := unix.Mkdev(7, 200) // a loop device that nobody has
		if word == "char" {
			device = unix.Mkdev(1, 3)
		}
		return unix.Mknod(path, special|0o644, int(device))
	case link:
		return os.Symlink(target, path)
	case strings.HasSuffix(name, "/"):
		return os.MkdirAll(path, 0o755)
	default:
		return os.WriteFile(path, []byte(name), 0o644)
	}
}

func openRoot(t testing.TB, path string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// find searches a scene in a new folder.
func find(t testing.TB, s scene, o discover.Options) *discover.Found {
	t.Helper()
	path := t.TempDir()
	s.write(t, path)
	return findIn(t, path, o)
}

func findIn(t testing.TB, path string, o discover.Options) *discover.Found {
	t.Helper()
	o.Root = openRoot(t, path)
	if o.Kind.Name == "" {
		o.Kind = extension.Sysext()
	}
	if o.Architecture == "" {
		o.Architecture = "x86-64"
	}
	found, err := discover.Find(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// account is what was found, a line each.
func account(f *discover.Found) []string {
	var lines []string
	for _, c := range f.Candidates {
		line := fmt.Sprintf("%s: %s %s", c.Name, c.Type, c.Place)
		if c.Path != c.Place {
			line += " = " + c.Path
		}
		if c.Masks {
			line += " masks"
		}
		if c.Old {
			line += " old"
		}
		lines = append(lines, line)
		for _, s := range c.Shadowed {
			lines = append(lines, "- "+s.Path+": "+s.Reason)
		}
	}
	for _, s := range f.Skipped {
		lines = append(lines, "! "+s.Path+": "+s.Reason)
	}
	return lines
}

// anything is the policy that takes everything.
func anything(t testing.TB) trust.Policy {
	t.Helper()
	p, err := trust.ParsePolicy("any")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
